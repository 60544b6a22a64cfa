//! Option values other than plain numbers and names.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::numbers::{Number, whole};
use crate::names::UnknownName;
use crate::optimizers::{Family, OptimizerName, RateFactor};

/// The source of a frozen network's weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum WeightsSource {
    /// Random weights, which are reproducible.
    Random,
    /// Weights from a file.
    File(PathBuf),
}

impl From<String> for WeightsSource {
    fn from(text: String) -> Self {
        match text.as_str() {
            "random" => Self::Random,
            path => Self::File(path.into()),
        }
    }
}

impl From<WeightsSource> for String {
    fn from(weights: WeightsSource) -> Self {
        weights.to_string()
    }
}

impl fmt::Display for WeightsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.pad("random"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// When FOSI estimates the spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", content = "value", rename_all = "kebab-case")]
pub enum RefreshSchedule {
    /// Every T steps.
    Interval(usize),
    /// As often as keeps the average cost of a step at ρ times the base optimizer's: T = ⌈τ₃/(ρτ₁ − τ₂)⌉, with the
    /// measured times τ₁ of the base's steps, τ₂ of FOSI's steps and τ₃ of estimations.
    Overhead(f64),
}

/// The length of each optimizer's training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "value", rename_all = "kebab-case")]
pub enum TrainingLength {
    /// Passes over the training data.
    Epochs(usize),
    /// Optimizer steps; the last epoch may be incomplete.
    Steps(usize),
}

impl fmt::Display for TrainingLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(epochs) => write!(f, "{epochs} epochs"),
            Self::Steps(steps) => write!(f, "{steps} steps"),
        }
    }
}

impl TrainingLength {
    /// The number of steps in the run.
    #[must_use]
    pub fn steps(self, steps_per_epoch: usize) -> u64 {
        match self {
            Self::Epochs(epochs) => (epochs as u64).saturating_mul(steps_per_epoch as u64),
            Self::Steps(steps) => steps as u64,
        }
    }

    /// The number of epochs, including an incomplete one.
    #[must_use]
    pub fn epochs(self, steps_per_epoch: usize) -> u64 {
        match self {
            Self::Epochs(epochs) => epochs as u64,
            Self::Steps(steps) => steps.div_ceil(steps_per_epoch.max(1)) as u64,
        }
    }
}

/// A number for each base optimizer. (It is 0 for optimizers that did not exist when an older record was written.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the base optimizers' names")]
pub struct PerFamily {
    pub gd: f64,
    pub hb: f64,
    pub nesterov: f64,
    pub adam: f64,
    pub adamw: f64,
    #[serde(default)]
    pub lion: f64,
    #[serde(default)]
    pub adagrad: f64,
    #[serde(default)]
    pub rmsprop: f64,
    #[serde(default)]
    pub adan: f64,
    #[serde(default)]
    pub lamb: f64,
    #[serde(default)]
    pub adafactor: f64,
    #[serde(default)]
    pub muon: f64,
    #[serde(default)]
    pub kfac: f64,
    #[serde(default)]
    pub lbfgs: f64,
    #[serde(default)]
    pub soap: f64,
    #[serde(default)]
    pub adahessian: f64,
}

impl PerFamily {
    /// The same number for all base optimizers.
    pub fn all(value: f64) -> Self {
        Self {
            gd: value,
            hb: value,
            nesterov: value,
            adam: value,
            adamw: value,
            lion: value,
            adagrad: value,
            rmsprop: value,
            adan: value,
            lamb: value,
            adafactor: value,
            muon: value,
            kfac: value,
            lbfgs: value,
            soap: value,
            adahessian: value,
        }
    }

    /// The number for `base`.
    pub fn get(&self, base: Family) -> f64 {
        match base {
            Family::GradientDescent => self.gd,
            Family::HeavyBall => self.hb,
            Family::Nesterov => self.nesterov,
            Family::Adam => self.adam,
            Family::AdamW => self.adamw,
            Family::Lion => self.lion,
            Family::AdaGrad => self.adagrad,
            Family::RmsProp => self.rmsprop,
            Family::Adan => self.adan,
            Family::Lamb => self.lamb,
            Family::Adafactor => self.adafactor,
            Family::Muon => self.muon,
            Family::Kfac => self.kfac,
            Family::Lbfgs => self.lbfgs,
            Family::Soap => self.soap,
            Family::AdaHessian => self.adahessian,
        }
    }
}

/// A user's value for a [`PerFamily`]: one number for all (`0.1`) or numbers by name (`hb=0.1,adam=0.001`; in TOML a
/// table).
#[derive(Clone, Debug, PartialEq)]
pub enum FamilyValues {
    /// One number for all.
    All(f64),
    /// Numbers for the named base optimizers; the others keep their values.
    Some(Vec<(Family, f64)>),
}

/// Serialised as the entries of [`PerFamily`] that it sets.
impl Serialize for FamilyValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(value) => PerFamily::all(*value).serialize(serializer),
            Self::Some(named) => {
                serializer.collect_map(named.iter().map(|(base, value)| (base.to_string(), value)))
            }
        }
    }
}

impl FromStr for FamilyValues {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.trim().parse::<f64>().map_err(|_| {
                format!("`{text}` is not a number; allowed are 0.1 and hb=0.1,adam=0.001")
            })
        };
        if !text.contains('=') {
            return number(text).map(Self::All);
        }
        let named = |part: &str| {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                format!("`{part}` names no optimizer; write it like hb=0.1,adam=0.001")
            })?;
            let base = name.trim().parse::<Family>().map_err(|e| e.to_string())?;
            Ok((base, number(value)?))
        };
        let named: Vec<(Family, f64)> =
            text.split(',').map(named).collect::<Result<_, String>>()?;
        let before = |(i, (base, _)): &(usize, &(Family, f64))| {
            named[..*i].iter().any(|(other, _)| other == base)
        };
        match named.iter().enumerate().find(before) {
            Some((_, (base, _))) => Err(format!("`{text}` names {base} twice: name each once")),
            None => Ok(Self::Some(named)),
        }
    }
}

impl<'de> Deserialize<'de> for FamilyValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = FamilyValues;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, or a table of numbers such as { hb = 0.1, adam = 0.001 }")
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<FamilyValues, E> {
                Ok(FamilyValues::All(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<FamilyValues, E> {
                Ok(FamilyValues::All(value as f64))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<FamilyValues, E> {
                Ok(FamilyValues::All(value as f64))
            }
            fn visit_i128<E: Error>(self, value: i128) -> Result<FamilyValues, E> {
                Ok(FamilyValues::All(value as f64))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FamilyValues, A::Error> {
                let mut named = Vec::new();
                while let Some((name, Number(value))) = map.next_entry::<String, _>()? {
                    named.push((name.parse().map_err(Error::custom)?, value));
                }
                Ok(FamilyValues::Some(named))
            }
        }
        deserializer.deserialize_any(Values)
    }
}

/// An element type of lists on the command line or in a file.
pub trait Element: Sized {
    /// Parses one element; the error states the given text and the allowed values.
    ///
    /// # Errors
    /// If the text is not such an element.
    fn read(text: &str) -> Result<Self, String>;
}

impl Element for u64 {
    fn read(text: &str) -> Result<Self, String> {
        whole(text).map(|number| number as Self)
    }
}

impl Element for OptimizerName {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: UnknownName| error.to_string())
    }
}

impl Element for RateFactor {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

/// A list, separated by commas (`1,2,3`); in TOML, an array or one element.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T: Element> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self(Vec::new()));
        }
        let elements = text.split(',').map(|part| T::read(part.trim()));
        elements.collect::<Result<_, _>>().map(Self)
    }
}

impl<'de, T: Element> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Element> Visitor<'de> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list, or one element")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<List<T>, E> {
                text.parse().map_err(Error::custom)
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<List<T>, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<List<T>, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_i128<E: Error>(self, value: i128) -> Result<List<T>, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<List<T>, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(Text(text)) = sequence.next_element()? {
                    elements.push(T::read(&text).map_err(Error::custom)?);
                }
                Ok(List(elements))
            }
        }
        deserializer.deserialize_any(Elements(PhantomData))
    }
}

/// An element of a list in a file, as text for the command line's parser.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Element;
        impl Visitor<'_> for Element {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text or a number")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_i128<E: Error>(self, value: i128) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
        }
        deserializer.deserialize_any(Element)
    }
}
