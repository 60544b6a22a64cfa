//! Parses numbers from users. An error shows an example of an allowed number.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

const WHOLE: &str = "a whole number of at least 0, such as 10";
const NUMBER: &str = "a number, such as 0.1";

/// Parses a whole number from the command line.
pub(super) fn whole(text: &str) -> Result<usize, String> {
    let refused = |_| format!("`{text}` is not {WHOLE}");
    text.parse().map_err(refused)
}

/// Parses a number from the command line.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let refused = |_| format!("`{text}` is not {NUMBER}");
    text.parse().map_err(refused)
}

/// Deserialises an optional whole number from a file.
pub(super) fn whole_in_file<'de, D>(deserializer: D) -> Result<Option<usize>, D::Error>
where
    D: Deserializer<'de>,
{
    Whole::deserialize(deserializer).map(|Whole(value)| Some(value))
}

/// Deserialises an optional number from a file.
pub(super) fn number_in_file<'de, D>(deserializer: D) -> Result<Option<f64>, D::Error>
where
    D: Deserializer<'de>,
{
    Number::deserialize(deserializer).map(|Number(value)| Some(value))
}

/// A whole number in a file.
struct Whole(usize);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(WHOLE)
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
                let refused = |_| E::invalid_value(Unexpected::Signed(value), &self);
                value.try_into().map(Whole).map_err(refused)
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
                let refused = |_| E::invalid_value(Unexpected::Unsigned(value), &self);
                value.try_into().map(Whole).map_err(refused)
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// A number in a file.
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(NUMBER)
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_i128<E: Error>(self, value: i128) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }
        }
        deserializer.deserialize_any(Value)
    }
}
