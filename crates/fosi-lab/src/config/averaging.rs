//! Averaging of the spectrum over refreshes.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whether FOSI uses the spectrum of the last refresh or the mean over refreshes; see [`fosi::Averaging`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Averaging {
    /// The spectrum of the last refresh.
    #[default]
    Off,
    /// The mean, with weights by prediction.
    Predicted,
    /// The mean, with this weight per refresh.
    Fixed(f64),
}

const ALLOWED: &str = "off, predicted, or the weight of a refresh such as 0.3";

impl Averaging {
    /// The library's setting.
    #[must_use]
    pub fn setting(self) -> fosi::Averaging {
        match self {
            Self::Off => fosi::Averaging::Off,
            Self::Predicted => fosi::Averaging::Predicted,
            Self::Fixed(weight) => fosi::Averaging::Fixed(weight),
        }
    }
}

impl fmt::Display for Averaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::Predicted => f.pad("predicted"),
            Self::Fixed(weight) => weight.fmt(f),
        }
    }
}

impl FromStr for Averaging {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "predicted" => Ok(Self::Predicted),
            weight => weight
                .parse()
                .map(Self::Fixed)
                .map_err(|_| format!("`{text}` is not {ALLOWED}")),
        }
    }
}

/// Serialised as a word or a number.
impl Serialize for Averaging {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(weight) => serializer.serialize_f64(*weight),
            word => serializer.serialize_str(&word.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Averaging {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = Averaging;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(ALLOWED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Averaging, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_f64<E: Error>(self, weight: f64) -> Result<Averaging, E> {
                Ok(Averaging::Fixed(weight))
            }
            fn visit_i64<E: Error>(self, weight: i64) -> Result<Averaging, E> {
                Ok(Averaging::Fixed(weight as f64))
            }
            fn visit_u64<E: Error>(self, weight: u64) -> Result<Averaging, E> {
                Ok(Averaging::Fixed(weight as f64))
            }
            fn visit_i128<E: Error>(self, weight: i128) -> Result<Averaging, E> {
                Ok(Averaging::Fixed(weight as f64))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

#[cfg(test)]
mod tests {
    use super::Averaging;

    #[test]
    fn what_is_written_is_read() {
        for averaging in [Averaging::Off, Averaging::Predicted, Averaging::Fixed(0.25)] {
            assert_eq!(averaging.to_string().parse(), Ok(averaging));
            let text = serde_json::to_string(&averaging).unwrap();
            assert_eq!(serde_json::from_str::<Averaging>(&text).unwrap(), averaging);
        }
        let message = "on".parse::<Averaging>().unwrap_err();
        assert!(
            message.contains("off, predicted, or the weight"),
            "{message}"
        );
    }
}
