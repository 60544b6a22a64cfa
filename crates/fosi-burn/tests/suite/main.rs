//! The tests of `fosi-burn` from outside.

mod common;

mod battery;
mod burn_base;
mod curvature;
mod dropout;
mod flat;
mod half;
mod master_weights;
mod minimize;
mod replica;
mod taylor;
mod tensor_space;
mod tied;
mod training;
