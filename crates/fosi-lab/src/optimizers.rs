//! Names of the program's optimizers: a family, plain or, if FOSI can wrap it, inside FOSI.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator, VariantNames};

use crate::names::UnknownName;

/// A family of optimizers: first-order optimizers, which FOSI can wrap, and rivals. The variants are in the order of
/// reports.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    EnumIter,
    VariantNames,
)]
#[strum(parse_err_ty = UnknownName, parse_err_fn = unknown_family)]
pub enum Family {
    /// Gradient descent, `gd`.
    #[strum(serialize = "gd")]
    GradientDescent,
    /// Heavy-Ball (momentum), `hb`.
    #[strum(serialize = "hb")]
    HeavyBall,
    /// Nesterov's accelerated gradient, `nesterov`.
    #[strum(serialize = "nesterov")]
    Nesterov,
    /// Adam, `adam`.
    #[strum(serialize = "adam")]
    Adam,
    /// Adam with decoupled weight decay, `adamw`.
    #[strum(serialize = "adamw")]
    AdamW,
    /// Burn's Lion, `lion`.
    #[strum(serialize = "lion")]
    Lion,
    /// Burn's AdaGrad, `adagrad`.
    #[strum(serialize = "adagrad")]
    AdaGrad,
    /// Burn's RMSProp, `rmsprop`.
    #[strum(serialize = "rmsprop")]
    RmsProp,
    /// Burn's Adan, `adan`.
    #[strum(serialize = "adan")]
    Adan,
    /// Burn's LAMB, `lamb`.
    #[strum(serialize = "lamb")]
    Lamb,
    /// Burn's Adafactor, `adafactor`.
    #[strum(serialize = "adafactor")]
    Adafactor,
    /// Burn's Muon for parameters that are matrices, and AdamW for the others, `muon`.
    #[strum(serialize = "muon")]
    Muon,
    /// K-FAC, `kfac`.
    #[strum(serialize = "kfac")]
    Kfac,
    /// L-BFGS with a line search on each batch, `lbfgs`.
    #[strum(serialize = "lbfgs")]
    Lbfgs,
    /// SOAP, `soap`.
    #[strum(serialize = "soap")]
    Soap,
    /// AdaHessian, `adahessian`.
    #[strum(serialize = "adahessian")]
    AdaHessian,
}

fn unknown_family(name: &str) -> UnknownName {
    UnknownName::new("optimizer", name, Family::VARIANTS)
}

impl Family {
    /// Whether FOSI can wrap it, that is, whether it only needs the gradient of the loss.
    pub const fn is_base(self) -> bool {
        !matches!(
            self,
            Self::Kfac | Self::Lbfgs | Self::Soap | Self::AdaHessian
        )
    }
}

/// A factor on a learning rate, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct RateFactor(u32);

impl RateFactor {
    /// The factor 1.
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
                "`{text}` is not a factor from 0.001 to 1000 with at most three decimals"
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

/// The prefix of an optimizer's name inside FOSI.
const FOSI: &str = "fosi-";

/// An optimizer, plain (`hb`) or inside FOSI (`fosi-hb`), optionally with a factor on the run's learning rate
/// (`hb*0.3`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OptimizerName {
    /// The family.
    pub family: Family,
    /// Whether FOSI wraps it.
    pub fosi: bool,
    /// The factor on the run's learning rate.
    pub rate: RateFactor,
}

impl OptimizerName {
    /// All names without factors.
    fn names() -> Vec<String> {
        let names = |family: Family| {
            let plain = Self::plain(family).to_string();
            let fosi = family.is_base().then(|| Self::fosi(family).to_string());
            std::iter::once(plain).chain(fosi)
        };
        Family::iter().flat_map(names).collect()
    }

    /// The optimizer, plain or inside FOSI, at the run's learning rate.
    pub const fn new(family: Family, fosi: bool) -> Self {
        Self {
            family,
            fosi,
            rate: RateFactor::ONE,
        }
    }

    /// The plain optimizer.
    pub const fn plain(family: Family) -> Self {
        Self::new(family, false)
    }

    /// The optimizer inside FOSI.
    pub const fn fosi(family: Family) -> Self {
        Self::new(family, true)
    }

    /// The base that it is compared with: FOSI's base at the same rate, otherwise the plain optimizer at the run's rate.
    pub const fn base(self) -> Self {
        let base = Self::plain(self.family);
        match self.fosi {
            true => base.at_rate(self.rate),
            false => base,
        }
    }

    /// The same optimizer with another factor on its learning rate.
    pub const fn at_rate(self, rate: RateFactor) -> Self {
        Self { rate, ..self }
    }
}

impl fmt::Display for OptimizerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.fosi { FOSI } else { "" };
        let name = format!("{prefix}{}", self.family);
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
            // With an invalid factor, the whole text is an unknown name.
            Some((short, factor)) => factor
                .parse()
                .map_or((name, RateFactor::ONE), |f| (short, f)),
            None => (name, RateFactor::ONE),
        };
        let (family, fosi) = match name.strip_prefix(FOSI) {
            Some(base) => (base, true),
            None => (name, false),
        };
        let unknown = || UnknownName::new("optimizer", name, &Self::names());
        let family: Family = family.parse().map_err(|_: UnknownName| unknown())?;
        match fosi && !family.is_base() {
            true => Err(unknown()),
            false => Ok(Self { family, fosi, rate }),
        }
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
        for name in OptimizerName::names() {
            let optimizer: OptimizerName = name.parse().unwrap();
            assert_eq!(optimizer.to_string(), name);
            assert_eq!(optimizer.fosi, name.starts_with("fosi"));
        }
        let faster: OptimizerName = "hb*0.3".parse().unwrap();
        assert_eq!(faster.rate.get(), 0.3);
        assert_eq!(faster.to_string(), "hb*0.3");
        assert!("hb*0".parse::<OptimizerName>().is_err());
        for base in Family::iter() {
            assert_eq!(base.to_string().parse::<Family>().unwrap(), base);
        }
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest() {
        let error = "fosi_adam".parse::<OptimizerName>().unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("fosi-adam"));
        assert!("fosi-kfac".parse::<OptimizerName>().is_err());
    }
}
