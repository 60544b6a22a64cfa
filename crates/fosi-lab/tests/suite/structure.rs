//! In each crate, modules import only modules below them.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `fosi`. Each may import those before it.
const LIBRARY: [&str; 31] = [
    "error",
    "float",
    "non_exhaustive",
    "scaling",
    "conditioning",
    "momentum",
    "update_rule",
    "elementwise",
    "split",
    "sampling",
    "communicator",
    "ranks",
    "space",
    "operator",
    "base",
    "schedule",
    "newton_rate",
    "lanczos",
    "spectrum",
    "trace",
    "density",
    "averaging",
    "safeguard",
    "signal",
    "subspace",
    "config",
    "timing",
    "report",
    "optimizer",
    "checkpoint",
    "minimize",
];

/// The modules of `fosi-burn`.
const BURN: [&str; 21] = [
    "error",
    "precision",
    "quiet",
    "record",
    "randomness",
    "flat",
    "fingerprint",
    "buffers",
    "gradient",
    "tensor_space",
    "replica",
    "tensor_gradient",
    "module_space",
    "burn_base",
    "report",
    "products",
    "hessian",
    "optimizer",
    "minimize",
    "probe",
    "train",
];

/// The modules of `fosi-rivals`.
const RIVALS: [&str; 13] = [
    "error",
    "prediction",
    "recorder",
    "loss",
    "rival",
    "state",
    "numbers",
    "copies",
    "kfac",
    "lbfgs",
    "soap",
    "adahessian",
    "muon",
];

/// The modules of the program.
const PROGRAM: [&str; 28] = [
    "names",
    "files",
    "interrupt",
    "data",
    "models",
    "optimizers",
    "problems",
    "config",
    "runs",
    "train",
    "parallel",
    "tasks",
    "dry_run",
    "plot",
    "summary",
    "verdict",
    "curves",
    "html",
    "quadratic",
    "solve",
    "pays",
    "stale",
    "curvature",
    "spectrum",
    "progress",
    "cli",
    "commands",
    "program",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let files = |path: PathBuf| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    };
    entries.flat_map(files).collect()
}

/// Fails if a module under `root` imports one that is not before it in `order`; returns the number of imports.
fn imports(root: &Path, order: &[&str], code: impl Fn(&str) -> &str) -> usize {
    let place = |module: &str| {
        let found = order.iter().position(|known| *known == module);
        found.unwrap_or_else(|| panic!("{module} has no place in the order"))
    };
    let mut imports = 0;
    for path in sources(root) {
        let inner = path.strip_prefix(root).unwrap();
        let module = inner.iter().next().unwrap().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines = code(&text).lines();
        for line in lines.filter(|line| !line.trim().starts_with("//")) {
            for import in line.split("crate::").skip(1) {
                let end = import.find(|c: char| !c.is_alphanumeric() && c != '_');
                let other = &import[..end.unwrap_or(import.len())];
                imports += 1;
                assert!(
                    place(other) < place(module) || other == module,
                    "{}: {module} imports {other}",
                    inner.display()
                );
            }
        }
    }
    imports
}

/// Omits unit tests, which use base optimizers in the library's lower modules.
fn without_unit_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn modules_import_only_those_below() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(imports(&program.join("src"), &PROGRAM, str::trim) > 100);
    let library = program.join("../fosi/src");
    assert!(imports(&library, &LIBRARY, without_unit_tests) > 80);
    let burn = program.join("../fosi-burn/src");
    assert!(imports(&burn, &BURN, without_unit_tests) > 30);
    let rivals = program.join("../fosi-rivals/src");
    assert!(imports(&rivals, &RIVALS, str::trim) > 50);
}
