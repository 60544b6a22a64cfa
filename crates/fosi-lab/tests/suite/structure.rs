//! The program's modules import downward only.

use std::fs;
use std::path::{Path, PathBuf};

/// Each may import those before it.
const ORDER: [&str; 18] = [
    "names",
    "files",
    "interrupt",
    "data",
    "models",
    "optimizers",
    "config",
    "runs",
    "train",
    "tasks",
    "dry_run",
    "plot",
    "summary",
    "curves",
    "quadratic",
    "progress",
    "cli",
    "commands",
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
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim().starts_with("//"));
        for line in code {
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
    assert!(imports > 100);
}
