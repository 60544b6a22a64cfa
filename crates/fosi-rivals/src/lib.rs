//! The optimizers that FOSI is compared with, on [Burn](https://burn.dev) modules.
//!
//! [`Kfac`], [`Lbfgs`], [`Soap`], [`AdaHessian`] and [`Muon`] implement one trait, [`Rival`]: steps on a [`Loss`], the
//! state as bytes, and uniform counts of cost and memory. [`Kfac`] also needs the network's outputs from the loss; the
//! forward pass then calls its layers through a [`Recorder`].
//!
//! Modules import only modules to their left: `error` ← `prediction`, `recorder` ← `loss` ← `rival`, `state`, `numbers`
//! ← `copies` ← `kfac`, `lbfgs`, `soap`, `adahessian`, `muon`.

mod adahessian;
mod copies;
mod error;
pub mod kfac;
mod lbfgs;
mod loss;
mod muon;
mod numbers;
mod prediction;
mod recorder;
mod rival;
mod soap;
mod state;

pub use adahessian::{AdaHessian, AdaHessianConfig, AdaHessianUpdate};
pub use error::RivalError;
pub use kfac::{Kfac, KfacConfig};
pub use lbfgs::{Lbfgs, LbfgsConfig};
pub use loss::Loss;
pub use muon::{Muon, MuonConfig};
pub use prediction::{Prediction, Targets};
pub use recorder::Recorder;
pub use rival::{Cost, Rival, StepDone};
pub use soap::{Soap, SoapConfig};
