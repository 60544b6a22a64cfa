//! Names of the optimizers that the program trains: a base optimizer, plain or inside FOSI.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::{UnknownName, known_name};

/// A first-order optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Base {
    /// Gradient descent, `gd`.
    GradientDescent,
    /// Heavy-Ball (momentum), `hb`.
    HeavyBall,
    /// Nesterov's accelerated gradient, `nesterov`.
    Nesterov,
    /// Adam, `adam`.
    Adam,
    /// Adam with decoupled weight decay, `adamw`.
    AdamW,
}

impl Base {
    /// Every base optimizer, in the order of reports.
    pub const ALL: [Self; 5] = [
        Self::GradientDescent,
        Self::HeavyBall,
        Self::Nesterov,
        Self::Adam,
        Self::AdamW,
    ];
    const NAMES: [&str; 5] = ["gd", "hb", "nesterov", "adam", "adamw"];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Base {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known = known_name("base optimizer", name, &Self::NAMES)?;
        let base = Self::ALL.into_iter().find(|base| base.name() == known);
        Ok(base.unwrap_or(Self::GradientDescent))
    }
}

/// A base optimizer, plain (`hb`) or inside FOSI (`fosi-hb`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OptimizerName {
    /// The base optimizer.
    pub base: Base,
    /// Whether FOSI wraps it.
    pub fosi: bool,
}

impl OptimizerName {
    const NAMES: [&str; 10] = [
        "hb",
        "fosi-hb",
        "adam",
        "fosi-adam",
        "gd",
        "fosi-gd",
        "nesterov",
        "fosi-nesterov",
        "adamw",
        "fosi-adamw",
    ];

    /// The base optimizer alone.
    pub const fn plain(base: Base) -> Self {
        Self { base, fosi: false }
    }

    /// The base optimizer inside FOSI.
    pub const fn fosi(base: Base) -> Self {
        Self { base, fosi: true }
    }
}

impl fmt::Display for OptimizerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.fosi { "fosi-" } else { "" };
        f.pad(&format!("{prefix}{}", self.base))
    }
}

impl FromStr for OptimizerName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known = known_name("optimizer", name, &Self::NAMES)?;
        let fosi = known.starts_with("fosi-");
        let base = known.trim_start_matches("fosi-").parse()?;
        Ok(Self { base, fosi })
    }
}

impl TryFrom<String> for OptimizerName {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        name.parse()
    }
}

impl From<OptimizerName> for String {
    fn from(name: OptimizerName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for name in OptimizerName::NAMES {
            let optimizer: OptimizerName = name.parse().unwrap();
            assert_eq!(optimizer.to_string(), name);
            assert_eq!(optimizer.fosi, name.starts_with("fosi"));
        }
        for base in Base::ALL {
            assert_eq!(base.name().parse::<Base>().unwrap(), base);
        }
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest() {
        let error = "fosi_adam".parse::<OptimizerName>().unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("fosi-adam"));
    }
}
