//! Names typed by users, with suggestions for unknown ones.

use thiserror::Error;

/// An unknown name, with the most similar known name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown {kind} `{given}`{}; known: {known}", nearest_hint(.nearest))]
pub struct UnknownName {
    /// The kind of name, such as `optimizer`.
    pub kind: &'static str,
    /// The given name.
    pub given: String,
    /// The most similar known name, if one is similar.
    pub nearest: Option<String>,
    /// All known names, separated by commas.
    pub known: String,
}

fn nearest_hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!(" (did you mean `{name}`?)"),
        None => String::new(),
    }
}

impl UnknownName {
    /// The error for `given`, which is not one of the `known` names.
    pub(crate) fn new(kind: &'static str, given: &str, known: &[impl AsRef<str>]) -> Self {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        Self {
            kind,
            given: given.to_owned(),
            nearest: nearest(given, &known).map(str::to_owned),
            known: known.join(", "),
        }
    }
}

/// The known name with the smallest edit distance, if that is at most 1 or a third of the given name's length.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    let allowed = (given.chars().count() / 3).max(1);
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, name), *name))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Defines an enum whose variants have lower-case, hyphenated names when typed, printed and stored. `$kind` is their
/// kind in [`UnknownName`].
macro_rules! named {
    ($kind:literal, $(#[$attribute:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        #[derive(
            Clone,
            Copy,
            Debug,
            PartialEq,
            Eq,
            strum::Display,
            strum::EnumString,
            strum::VariantNames,
            serde::Serialize,
        )]
        #[serde(rename_all = "kebab-case")]
        #[strum(
            serialize_all = "kebab-case",
            parse_err_ty = $crate::names::UnknownName,
            parse_err_fn = $name::unknown
        )]
        $(#[$attribute])*
        pub enum $name { $($variants)* }

        impl $name {
            fn unknown(given: &str) -> $crate::names::UnknownName {
                let known = <Self as strum::VariantNames>::VARIANTS;
                $crate::names::UnknownName::new($kind, given, known)
            }
        }

        // Unknown names are reported as on the command line, with the most similar name.
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use named;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = UnknownName::new("optimizer", "fossi-hb", &["hb", "fosi-hb", "adam"]);
        assert_eq!(error.nearest.as_deref(), Some("fosi-hb"));
        assert_eq!(
            error.to_string(),
            "unknown optimizer `fossi-hb` (did you mean `fosi-hb`?); known: hb, fosi-hb, adam"
        );
    }

    #[test]
    fn nothing_is_suggested_for_a_name_like_no_other() {
        let error = UnknownName::new("data set", "xyz", &["mnist", "digits"]);
        assert_eq!(error.nearest, None);
    }
}
