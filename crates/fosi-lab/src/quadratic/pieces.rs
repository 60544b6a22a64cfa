//! The pieces of an experiment, from which an interrupted one is resumed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Setup, Tick};
use crate::runs::{RunError, Versions, replace_file};

/// The pieces of an experiment that are done.
pub struct Pieces<'a> {
    tick: Box<Tick<'a>>,
    done: Mutex<BTreeMap<String, Value>>,
}

/// The pieces in a file.
#[derive(Deserialize, Serialize)]
struct Stored {
    /// The program and the settings that computed them: others would compute other numbers.
    of: String,
    pieces: BTreeMap<String, Value>,
}

impl<'a> Pieces<'a> {
    /// None is done. `tick` is called after each that is, from any thread.
    pub fn new(tick: Box<Tick<'a>>) -> Self {
        Self {
            tick,
            done: Mutex::default(),
        }
    }

    /// Those in the file at `path` are done, if it is of this program and this setup; otherwise none is.
    pub fn from_file(path: &Path, setup: Setup, tick: Box<Tick<'a>>) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        let stored = serde_json::from_slice::<Stored>(&bytes).ok();
        let own = stored.filter(|stored| stored.of == identity(setup));
        Self {
            tick,
            done: Mutex::new(own.map(|own| own.pieces).unwrap_or_default()),
        }
    }

    /// Replaces the file at `path` by the pieces that are done; their number.
    ///
    /// # Errors
    /// [`RunError::Write`].
    pub fn save(&self, path: &Path, setup: Setup) -> Result<usize, RunError> {
        let pieces = self
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let count = pieces.len();
        let of = identity(setup);
        let bytes = serde_json::to_vec(&Stored { of, pieces });
        let bytes = bytes.map_err(|error| RunError::Write {
            path: path.to_owned(),
            source: error.into(),
        })?;
        replace_file(path, &bytes)?;
        Ok(count)
    }

    /// A piece: as it was, where it is done (but for one with numbers that aren't finite, which JSON doesn't have),
    /// else computed now.
    pub(super) fn piece<T: Serialize + DeserializeOwned>(
        &self,
        name: String,
        compute: impl FnOnce() -> Result<T, fosi::Error>,
    ) -> Result<T, fosi::Error> {
        let done = || self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let known = done().get(&name).cloned();
        let known = known.and_then(|value| serde_json::from_value(value).ok());
        let value = match known {
            Some(value) => value,
            None => {
                let value = compute()?;
                if let Ok(json) = serde_json::to_value(&value) {
                    done().insert(name, json);
                }
                value
            }
        };
        (self.tick)();
        Ok(value)
    }
}

impl fmt::Debug for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

fn identity(Setup { bases, convention }: Setup) -> String {
    format!("{}, {bases} bases, as {convention:?}", Versions::here())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quadratic::Convention;

    #[test]
    fn what_is_done_is_not_computed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.json");
        let third = 1.0 / 3.0;
        let pieces = Pieces::new(Box::new(|| ()));
        for (name, value) in [("a", third), ("b", f64::INFINITY)] {
            let computed = pieces.piece(name.to_owned(), || Ok(vec![value])).unwrap();
            assert_eq!(computed, [value]);
        }
        let setup = |bases| Setup {
            bases,
            convention: Convention::Code,
        };
        assert_eq!(pieces.save(&path, setup(3)).unwrap(), 2);
        let again = |bases, name: &str| -> Vec<f64> {
            let pieces = Pieces::from_file(&path, setup(bases), Box::new(|| ()));
            pieces.piece(name.to_owned(), || Ok(vec![7.0])).unwrap()
        };
        assert_eq!(again(3, "a"), [third]);
        // Other bases, another piece, a number that isn't finite: computed.
        assert_eq!(again(4, "a"), [7.0]);
        assert_eq!(again(3, "c"), [7.0]);
        assert_eq!(again(3, "b"), [7.0]);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(again(3, "a"), [7.0]);
    }
}
