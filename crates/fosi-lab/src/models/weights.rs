//! Weights from PyTorch files, with PyTorch's names.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::DType;
use burn_store::burn_pack::Tensor;
use burn_store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, PytorchStore, SafetensorsStore,
};
use thiserror::Error;

/// The maximum number of names in a message.
const NAMED: usize = 3;

/// The weights in a file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file does not exist.
    #[error("there are no weights at {}; {hint}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Where to obtain it.
        hint: &'static str,
    },
    /// The file's extension is not a known format.
    #[error("{} is none of the known formats: a file of weights ends in .pth, .pt or .safetensors", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged or is not a weights file.
    #[error("cannot read weights from {}: {reason}; fetch the file again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reader's message.
        reason: String,
    },
    /// The file lacks tensors of the network.
    #[error(
        "{} lacks {} of the tensors of {network}: {}; are they weights of another network, or a checkpoint that \
         holds them in a part of its own?",
        path.display(), names.len(), list(names)
    )]
    Lacking {
        /// The file.
        path: PathBuf,
        /// The network.
        network: &'static str,
        /// The tensors' names.
        names: Vec<String>,
    },
    /// The file contains tensors that the network lacks.
    #[error(
        "{} contains {} tensors that {network} lacks: {}; are they weights of another network?",
        path.display(), names.len(), list(names)
    )]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// The network.
        network: &'static str,
        /// The tensors' names.
        names: Vec<String>,
    },
    /// A tensor has the wrong shape.
    #[error("{}: `{name}` has shape {found:?}, but {network} needs {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The network.
        network: &'static str,
        /// The tensor's name.
        name: String,
        /// The required shape.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor does not contain floating-point numbers.
    #[error("{}: `{name}` has type {found}; allowed are floating-point types", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Its type.
        found: String,
    },
}

fn list(names: &[String]) -> String {
    let named: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.len() > NAMED {
        " and others"
    } else {
        ""
    };
    named.join(", ") + more
}

/// A network's name, the tensors that a file may contain in addition, and where to obtain its weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) network: &'static str,
    /// Whether a tensor with this name in the file is ignored.
    pub(super) ignored: fn(&str) -> bool,
    pub(super) hint: &'static str,
}

/// `module` with every parameter and buffer read from the file at `path`, in f32.
///
/// # Errors
/// [`WeightsError`]; all names, shapes and types are checked before any value is used.
pub(super) fn load<M: Module>(
    mut module: M,
    path: &Path,
    source: Source,
) -> Result<M, WeightsError> {
    let tensors = read(path, source)?;
    check(&module, &tensors, path, source)?;
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
    let tensors = tensors.into_values().collect();
    let result = module.apply(tensors, None, Some(Box::new(adapter)), true);
    match result.errors.first() {
        Some(error) => Err(unreadable(path, error)),
        None => Ok(module),
    }
}

fn read(path: &Path, source: Source) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    if !path.is_file() {
        return Err(WeightsError::Missing {
            path: path.to_owned(),
            hint: source.hint,
        });
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("pth" | "pt") => tensors_in(PytorchStore::from_file(path), path),
        Some("safetensors") => tensors_in(SafetensorsStore::from_file(path), path),
        _ => Err(WeightsError::UnknownFormat {
            path: path.to_owned(),
        }),
    }
}

fn tensors_in(
    mut store: impl ModuleStore,
    path: &Path,
) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let tensors = store.get_all_tensors();
    tensors.cloned().map_err(|error| unreadable(path, &error))
}

fn check(
    module: &impl Module,
    tensors: &BTreeMap<String, Tensor>,
    path: &Path,
    source: Source,
) -> Result<(), WeightsError> {
    let expected = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    let lacking: Vec<String> = expected
        .iter()
        .map(|tensor| tensor.name.clone())
        .filter(|name| !tensors.contains_key(name))
        .collect();
    let (path, network) = (path.to_owned(), source.network);
    if !lacking.is_empty() {
        return Err(WeightsError::Lacking {
            path,
            network,
            names: lacking,
        });
    }
    let known = |name: &str| expected.iter().any(|tensor| tensor.name == name);
    let unexpected: Vec<String> = tensors
        .keys()
        .filter(|name| !known(name) && !(source.ignored)(name))
        .cloned()
        .collect();
    if !unexpected.is_empty() {
        return Err(WeightsError::Unexpected {
            path,
            network,
            names: unexpected,
        });
    }
    let mut pairs = expected
        .iter()
        .map(|tensor| (tensor, &tensors[&tensor.name]));
    pairs.try_for_each(|(expected, found)| check_tensor(expected, found, &path, network))
}

fn check_tensor(
    expected: &Tensor,
    found: &Tensor,
    path: &Path,
    network: &'static str,
) -> Result<(), WeightsError> {
    let (path, name) = (path.to_owned(), expected.name.clone());
    if found.shape != expected.shape {
        return Err(WeightsError::Shape {
            path,
            network,
            name,
            expected: expected.shape.to_vec(),
            found: found.shape.to_vec(),
        });
    }
    if !found.dtype.is_float() {
        let found = found.dtype.name().to_owned();
        return Err(WeightsError::Type { path, name, found });
    }
    Ok(())
}

fn unreadable(path: &Path, reason: &impl Display) -> WeightsError {
    WeightsError::Unreadable {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
