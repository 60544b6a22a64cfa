//! The tests of `fosi-burn` from outside.

mod common;

mod battery;
mod burn_base;
mod checks;
mod curvature;
mod dropout;
mod flat;
mod follow;
mod golden;
mod half;
mod hessian;
mod layers;
mod master_weights;
mod minimize;
mod probe;
mod ranks;
mod replica;
mod stepping;
mod taylor;
mod tensor_space;
mod tied;
mod train;
mod training;
