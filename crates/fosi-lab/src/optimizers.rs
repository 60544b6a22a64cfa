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

/// A factor on a learning rate, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct RateFactor(u32);

impl RateFactor {
    /// The rate as it is.
    pub const ONE: Self = Self(1000);

    /// The factor as a number.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl fmt::Display for RateFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl FromStr for RateFactor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let thousandths = text.trim().parse::<f64>().map_or(f64::NAN, |f| 1000.0 * f);
        let whole = (thousandths - thousandths.round()).abs() < 1e-6;
        if !(whole && (1.0..=1e6).contains(&thousandths.round())) {
            return Err(format!(
                "`{text}` is no factor on a learning rate: allowed are 0.001 to 1000, to three decimals"
            ));
        }
        Ok(Self(thousandths.round() as u32))
    }
}

impl TryFrom<f64> for RateFactor {
    type Error = String;

    fn try_from(factor: f64) -> Result<Self, String> {
        factor.to_string().parse()
    }
}

impl From<RateFactor> for f64 {
    fn from(factor: RateFactor) -> Self {
        factor.get()
    }
}

/// A base optimizer, plain (`hb`) or inside FOSI (`fosi-hb`), perhaps with another learning rate than the run's
/// (`hb*0.3`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OptimizerName {
    /// The base optimizer.
    pub base: Base,
    /// Whether FOSI wraps it.
    pub fosi: bool,
    /// Factor on the run's learning rate.
    pub rate: RateFactor,
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

    /// The base optimizer, inside FOSI or alone, at the run's learning rate.
    pub const fn new(base: Base, fosi: bool) -> Self {
        Self {
            base,
            fosi,
            rate: RateFactor::ONE,
        }
    }

    /// The base optimizer alone.
    pub const fn plain(base: Base) -> Self {
        Self::new(base, false)
    }

    /// The base optimizer inside FOSI.
    pub const fn fosi(base: Base) -> Self {
        Self::new(base, true)
    }

    /// The same optimizer with another factor on its learning rate.
    pub const fn at_rate(self, rate: RateFactor) -> Self {
        Self { rate, ..self }
    }
}

impl fmt::Display for OptimizerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.fosi { "fosi-" } else { "" };
        let name = format!("{prefix}{}", self.base);
        match self.rate {
            RateFactor::ONE => f.pad(&name),
            rate => f.pad(&format!("{name}*{rate}")),
        }
    }
}

impl FromStr for OptimizerName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let (name, rate) = match name.split_once('*') {
            // With a factor that is none the whole is an unknown name.
            Some((short, factor)) => factor
                .parse()
                .map_or((name, RateFactor::ONE), |f| (short, f)),
            None => (name, RateFactor::ONE),
        };
        let known = known_name("optimizer", name, &Self::NAMES)?;
        let fosi = known.starts_with("fosi-");
        let base = known.trim_start_matches("fosi-").parse()?;
        Ok(Self { base, fosi, rate })
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
        let faster: OptimizerName = "hb*0.3".parse().unwrap();
        assert_eq!(faster.rate.get(), 0.3);
        assert_eq!(faster.to_string(), "hb*0.3");
        assert!("hb*0".parse::<OptimizerName>().is_err());
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
