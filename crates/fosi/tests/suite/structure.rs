//! Modules import downward only.

use std::fs;
use std::path::{Path, PathBuf};

/// Each may import those before it.
const ORDER: [&str; 22] = [
    "error",
    "float",
    "growing",
    "scaling",
    "momentum",
    "update_rule",
    "elementwise",
    "split",
    "space",
    "operator",
    "base",
    "schedule",
    "lanczos",
    "spectrum",
    "safeguard",
    "subspace",
    "config",
    "timing",
    "report",
    "optimizer",
    "checkpoint",
    "minimize",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let files = |path: PathBuf| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    };
    entries.flat_map(files).collect()
}

fn place(module: &str) -> usize {
    let found = ORDER.iter().position(|known| *known == module);
    found.unwrap_or_else(|| panic!("{module} has no place in the order"))
}

#[test]
fn modules_import_only_those_below() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = 0;
    for path in sources(&root) {
        let inner = path.strip_prefix(&root).unwrap();
        let module = inner.iter().next().unwrap().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| line.starts_with("use crate::")) {
            let import = &line["use crate::".len()..];
            let other = import.split(':').next().unwrap();
            imports += 1;
            assert!(
                place(other) < place(module) || other == module,
                "{}: {module} imports {other}",
                inner.display()
            );
        }
    }
    assert!(imports > 80, "{imports}");
}
