//! Where the paper's text and its public implementation differ, and which of them the experiments follow.

use clap::ValueEnum;

/// The source of what the paper's text and its public implementation specify differently.
///
/// | | [`Code`](Self::Code) | [`Text`](Self::Text) |
/// |---|---|---|
/// | α of FOSI-Heavy-Ball and FOSI-Nesterov | 1 − β | 1 (§4.3) |
/// | μ in the scale s | 0 | λ_n (A.6) |
/// | eigenvalues of f_{b,ζ} | 0.001·bⁱ, i = 0…99 | 0.001·bⁱ, i = 1…100 |
/// | eigenvectors | a uniformly random orthonormal basis | those of a symmetric matrix with entries of U(0, 1) (§4.3) |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Convention {
    /// As in the public implementation, whose values are in the tests.
    #[default]
    Code,
    /// As in the paper's text.
    Text,
}

impl Convention {
    /// A sentence for the reports.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Code => {
                "As in the public implementation: α = 1 − β for FOSI-HB, μ = 0 in the scaling, eigenvalues from i = 0, \
                 uniformly random eigenvectors. `--as text` follows the paper's text."
            }
            Self::Text => {
                "As in the paper's text: α = 1 for FOSI-HB, μ = λ_n in the scaling, eigenvalues from i = 1, eigenvectors of \
                 symmetric matrices with entries of U(0, 1). `--as code` follows the public implementation."
            }
        }
    }
}

/// How an experiment is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Random bases, for optimizers that depend on the eigenvectors.
    pub bases: u64,
    /// What is followed where text and code differ.
    pub convention: Convention,
}
