//! The tests of the program and its library from outside.

mod campaign;
mod folder;
mod program;
mod readers;
mod softmax;

mod audio;
mod command_line;
mod corpus;
mod curvature_batch;
mod curvature_study;
mod devices;
mod files;
mod idx;
mod images;
mod interrupts;
mod kill;
mod lists;
mod log_mel;
mod models;
mod mutations;
mod pays;
mod prefetch;
mod problems;
mod quadratic;
mod quadratic_adam;
mod quadratic_command;
mod run_folder;
mod schedules;
mod solve;
mod spectrum;
mod structure;
mod tasks;
mod text;
mod training;
mod wav;
