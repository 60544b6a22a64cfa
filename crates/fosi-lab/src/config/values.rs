//! Values of options that have more than one spelling.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::numbers::{Number, whole};
use crate::names::UnknownName;
use crate::optimizers::{Base, OptimizerName, RateFactor};

/// A number for each base optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the base optimizers' names")]
pub struct PerBase {
    pub gd: f64,
    pub hb: f64,
    pub nesterov: f64,
    pub adam: f64,
    pub adamw: f64,
}

impl PerBase {
    /// The same number for all.
    pub fn all(value: f64) -> Self {
        Self {
            gd: value,
            hb: value,
            nesterov: value,
            adam: value,
            adamw: value,
        }
    }

    /// The number for `base`.
    pub fn get(&self, base: Base) -> f64 {
        match base {
            Base::GradientDescent => self.gd,
            Base::HeavyBall => self.hb,
            Base::Nesterov => self.nesterov,
            Base::Adam => self.adam,
            Base::AdamW => self.adamw,
        }
    }

    fn set(&mut self, base: Base, value: f64) {
        match base {
            Base::GradientDescent => self.gd = value,
            Base::HeavyBall => self.hb = value,
            Base::Nesterov => self.nesterov = value,
            Base::Adam => self.adam = value,
            Base::AdamW => self.adamw = value,
        }
    }
}

/// What a user gives for a [`PerBase`]: one number for all (`0.1`), or some by name (`hb=0.1,adam=0.001`; in TOML a
/// table).
#[derive(Clone, Debug, PartialEq)]
pub enum BaseValues {
    /// One number for all.
    All(f64),
    /// Numbers for the base optimizers named; the others keep theirs.
    Some(Vec<(Base, f64)>),
}

impl BaseValues {
    /// Overrides what is given.
    pub fn apply(&self, values: &mut PerBase) {
        match self {
            Self::All(value) => *values = PerBase::all(*value),
            Self::Some(named) => {
                for &(base, value) in named {
                    values.set(base, value);
                }
            }
        }
    }
}

impl FromStr for BaseValues {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.trim().parse::<f64>().map_err(|_| {
                format!("`{text}` is not a number; allowed is 0.1 or hb=0.1,adam=0.001")
            })
        };
        if !text.contains('=') {
            return number(text).map(Self::All);
        }
        let named = |part: &str| {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                format!("`{part}` names no optimizer; allowed is hb=0.1,adam=0.001")
            })?;
            let base = name.trim().parse::<Base>().map_err(|e| e.to_string())?;
            Ok((base, number(value)?))
        };
        let named: Vec<(Base, f64)> = text.split(',').map(named).collect::<Result<_, String>>()?;
        let before = |(i, (base, _)): &(usize, &(Base, f64))| {
            named[..*i].iter().any(|(other, _)| other == base)
        };
        match named.iter().enumerate().find(before) {
            Some((_, (base, _))) => Err(format!("`{text}` names {base} twice: name each once")),
            None => Ok(Self::Some(named)),
        }
    }
}

impl<'de> Deserialize<'de> for BaseValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = BaseValues;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, or a table of numbers such as { hb = 0.1, adam = 0.001 }")
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<BaseValues, E> {
                Ok(BaseValues::All(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<BaseValues, E> {
                Ok(BaseValues::All(value as f64))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BaseValues, A::Error> {
                let mut named = Vec::new();
                while let Some((name, Number(value))) = map.next_entry::<String, _>()? {
                    named.push((name.parse().map_err(Error::custom)?, value));
                }
                Ok(BaseValues::Some(named))
            }
        }
        deserializer.deserialize_any(Values)
    }
}

/// What a list on the command line or in a file is of.
pub trait Element: Sized {
    /// Reads one element; the error says what was given and what is allowed.
    ///
    /// # Errors
    /// Where the text is no such element.
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

/// A list: separated by commas (`1,2,3`); in TOML an array, or one element.
#[derive(Clone, Debug, PartialEq)]
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

/// An element of a list in a file, as it would stand on the command line.
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
            fn visit_f64<E: Error>(self, value: f64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
        }
        deserializer.deserialize_any(Element)
    }
}
