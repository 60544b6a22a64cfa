//! The optimizers against independent computations.

mod adahessian;
mod common;
mod kfac_errors;
mod kfac_factors;
mod kfac_golden;
mod kfac_newton;
mod kfac_state;
mod lbfgs;
mod muon;
mod soap;
