//! Checkpoints: damaged ones are refused, and a refused one changes nothing.

use std::collections::HashMap;

use fosi::base::{Adam, Base, HeavyBall, Nesterov};
use fosi::{Averaging, Error, Fosi, FosiConfig, Host, Schedule, Storage, operator};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const N: usize = 6;

fn config() -> FosiConfig {
    FosiConfig {
        largest: 2,
        smallest: 1,
        schedule: Schedule::Every {
            warmup: 2,
            interval: 4,
        },
        ..crate::raw()
    }
}

fn fresh<B: Base<Host<f32>>>(base: B) -> Fosi<Host<f32>, B> {
    Fosi::new(Host::new(N), base, config()).unwrap()
}

fn advance<B: Base<Host<f32>>>(optimizer: &mut Fosi<Host<f32>, B>, x: &mut [f32], steps: usize) {
    for _ in 0..steps {
        if optimizer.due() {
            let mut hessian = operator::from_fn::<Host<f32>, _>(|v: &[f32], out: &mut [f32]| {
                for i in 0..N {
                    out[i] = (i + 1) as f32 * v[i];
                }
            });
            optimizer.refresh(&mut hessian).unwrap();
        }
        let gradient: Vec<f32> = (0..N).map(|i| (i + 1) as f32 * x[i]).collect();
        optimizer.step(0.01, x, &gradient).unwrap();
    }
}

/// A small optimizer after its first refresh, and its bytes.
fn saved() -> (Fosi<Host<f32>, Adam>, Vec<u8>) {
    let mut optimizer = fresh(Adam::default());
    advance(&mut optimizer, &mut [1.0; N], 3);
    let bytes = optimizer.to_bytes().unwrap();
    (optimizer, bytes)
}

fn refused<B: Base<Host<f32>>>(optimizer: &mut Fosi<Host<f32>, B>, bytes: &[u8]) -> String {
    let before = optimizer.to_bytes().unwrap();
    let error = optimizer.restore(bytes).unwrap_err();
    assert!(matches!(error, Error::Checkpoint(_)), "{error}");
    assert_eq!(optimizer.to_bytes().unwrap(), before);
    error.to_string()
}

#[test]
fn equal_states_give_equal_bytes() {
    let (_, first) = saved();
    for _ in 0..10 {
        assert_eq!(saved().1, first);
    }
}

#[test]
fn truncated_files_are_refused() {
    let (_, bytes) = saved();
    let mut other = fresh(Adam::default());
    for length in 0..bytes.len() {
        refused(&mut other, &bytes[..length]);
    }
    refused(&mut other, &[&bytes[..], &[0]].concat());
}

#[test]
fn flipped_bits_are_refused() {
    let (original, bytes) = saved();
    let same = original.to_bytes().unwrap();
    let mut harmless = 0;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut other = fresh(Adam::default());
        if other.restore(&flipped).is_ok() {
            assert_eq!(other.to_bytes().unwrap(), same, "bit {bit}");
            harmless += 1;
        }
    }
    assert_eq!(harmless, 0);
}

#[test]
fn files_of_another_optimizer_are_refused_with_the_difference() {
    let (_, bytes) = saved();
    let error = refused(&mut fresh(HeavyBall::default()), &bytes);
    assert!(
        error.contains("adam") && error.contains("heavy-ball"),
        "{error}"
    );
    let mut larger = Fosi::new(Host::<f32>::new(N + 1), Adam::default(), config()).unwrap();
    let error = refused(&mut larger, &bytes);
    assert!(
        error.contains("6 parameters") && error.contains('7'),
        "{error}"
    );
    let mut signed = fresh(Adam::default());
    signed.set_signature("another model");
    assert!(refused(&mut signed, &bytes).contains("another model"));
    let mut double = Fosi::new(Host::<f64>::new(N), Adam::default(), config()).unwrap();
    let error = double.restore(&bytes).unwrap_err().to_string();
    assert!(error.contains("F32") && error.contains("F64"), "{error}");
}

/// A basis keeps its saved precision until the next refresh, so the steps are the same.
#[test]
fn the_precision_of_the_basis_may_change() {
    use Storage::{Bf16, Full};
    let new = |storage| {
        let space = Host::<f32>::new(N).with_storage(storage);
        Fosi::new(space, Adam::default(), config()).unwrap()
    };
    let dtype = |storage| match storage {
        Bf16 => Dtype::BF16,
        _ => Dtype::F32,
    };
    let precision = |optimizer: &Fosi<Host<f32>, Adam>| {
        let parts = Parts::of(&optimizer.to_bytes().unwrap());
        let mut arrays = parts.arrays.into_iter();
        arrays.find(|(name, ..)| name == "basis").unwrap().1
    };
    for (before, after) in [(Full, Bf16), (Bf16, Full)] {
        let (mut first, mut second) = (new(before), new(after));
        let mut parameters = vec![1.0; N];
        advance(&mut first, &mut parameters, 3);
        second.restore(&first.to_bytes().unwrap()).unwrap();
        assert_eq!(first.to_bytes().unwrap(), second.to_bytes().unwrap());
        let mut others = parameters.clone();
        let gradient = vec![0.5; N];
        first.step(0.01, &mut parameters, &gradient).unwrap();
        second.step(0.01, &mut others, &gradient).unwrap();
        assert_eq!(parameters, others);
        // The next refresh makes a basis in the new optimizer's precision.
        assert_eq!(precision(&second), dtype(before));
        advance(&mut second, &mut others, 4);
        assert_eq!(precision(&second), dtype(after));
    }
}

/// The parts of a checkpoint, and bytes with a valid checksum from changed parts.
struct Parts {
    header: String,
    arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
        let entry = &metadata.metadata().as_ref().unwrap()["fosi"];
        let file = SafeTensors::deserialize(bytes).unwrap();
        let tensors = file.tensors().into_iter();
        Self {
            header: entry[8..].to_string(),
            arrays: tensors
                .map(|(name, v)| (name, v.dtype(), v.shape().to_vec(), v.data().to_vec()))
                .collect(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.arrays.sort_by(|a, b| a.0.cmp(&b.0));
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.header.as_bytes());
        for (name, dtype, shape, bytes) in &self.arrays {
            hasher.update(format!("{name} {dtype:?} {shape:?}").as_bytes());
            hasher.update(bytes);
        }
        let entry = format!("{:08x}{}", hasher.finalize(), self.header);
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &self.arrays {
            let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
            views.push((name.clone(), view));
        }
        safetensors::serialize(views, Some(HashMap::from([("fosi".into(), entry)]))).unwrap()
    }

    fn array(&mut self, name: &str) -> &mut (String, Dtype, Vec<usize>, Vec<u8>) {
        self.arrays.iter_mut().find(|a| a.0 == name).unwrap()
    }

    fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
        let mut parts = Self::of(bytes);
        assert!(parts.header.contains(from), "{}", parts.header);
        parts.header = parts.header.replace(from, to);
        parts.bytes()
    }
}

#[test]
fn forged_files_are_refused() {
    let (original, bytes) = saved();
    // Unchanged parts load, so the forged checksum is valid.
    let mut other = fresh(Adam::default());
    other.restore(&Parts::of(&bytes).bytes()).unwrap();
    assert_eq!(other.to_bytes().unwrap(), original.to_bytes().unwrap());

    let mut other = fresh(Adam::default());
    let version = Parts::replaced(&bytes, "\"version\":5", "\"version\":7");
    let error = refused(&mut other, &version);
    assert!(
        error.contains("version 7") && error.contains("version 5"),
        "{error}"
    );
    for (from, to) in [
        ("\"step\":3", "\"step\":18446744073709551615"),
        (
            "\"last_refresh\":2",
            "\"last_refresh\":18446744073709551615",
        ),
        ("\"refreshes\":1", "\"refreshes\":18446744073709551615"),
        ("\"largest\":2", "\"largest\":9"),
        ("\"dim\":6", "\"dim\":1000000000000"),
        ("\"scale\":1.0", "\"scale\":null"),
        ("\"scale\":1.0", "\"scale\":-1.0"),
        ("\"scale\":1.0", "\"scale\":1e999"),
        ("\"means\":[0.0,0.0,0.0]", "\"means\":[0.0]"),
        ("\"squares\":[0.0,0.0,0.0]", "\"squares\":[0.0,-1.0,0.0]"),
    ] {
        refused(&mut other, &Parts::replaced(&bytes, from, to));
    }
}

#[test]
fn forged_means_over_refreshes_are_refused() {
    let averaging = || {
        let config = FosiConfig {
            averaging: Averaging::Predicted,
            ..config()
        };
        Fosi::new(Host::<f32>::new(N), HeavyBall::default(), config).unwrap()
    };
    let mut original = averaging();
    advance(&mut original, &mut [1.0; N], 8);
    let bytes = original.to_bytes().unwrap();
    averaging().restore(&Parts::of(&bytes).bytes()).unwrap();
    for (from, to) in [
        ("\"count\":2,\"weight\":0.", "\"count\":0,\"weight\":0."),
        ("\"count\":2,\"weight\":0.", "\"count\":2,\"weight\":7."),
        ("\"last_largest\":2", "\"last_largest\":9"),
    ] {
        refused(&mut averaging(), &Parts::replaced(&bytes, from, to));
    }
    let mut parts = Parts::of(&bytes);
    let gram = &mut parts.array("average.gram").3;
    gram[..8].copy_from_slice(&1e300_f64.to_le_bytes());
    refused(&mut averaging(), &parts.bytes());
    for name in ["average.eigenvalues", "average.gram", "average.further"] {
        let mut parts = Parts::of(&bytes);
        parts.array(name).0 = "other".into();
        refused(&mut averaging(), &parts.bytes());
    }
}

#[test]
fn forged_arrays_cost_no_memory_and_never_panic() {
    let (_, bytes) = saved();
    let names: Vec<String> = Parts::of(&bytes)
        .arrays
        .iter()
        .map(|a| a.0.clone())
        .collect();
    for name in &names {
        for rows in [0, 2, 1_000_000_000_000] {
            let mut parts = Parts::of(&bytes);
            let array = parts.array(name);
            (array.2, array.3) = (vec![rows, 0], Vec::new());
            // The test's base has no further state and accepts only an empty one.
            let mut other = fresh(Adam::default());
            if other.restore(&parts.bytes()).is_ok() {
                assert!(name == "base" && rows == 0, "{name} with {rows} rows");
                advance(&mut other, &mut [1.0; N], 5);
            }
        }
        let mut parts = Parts::of(&bytes);
        parts.arrays.retain(|a| a.0 != *name);
        let error = refused(&mut fresh(Adam::default()), &parts.bytes());
        assert!(error.contains(name), "{error}");
    }
    for name in ["eigenvalues", "momentum", "gram_inverse", "curvature"] {
        let mut parts = Parts::of(&bytes);
        parts.array(name).3[..8].copy_from_slice(&f64::NAN.to_le_bytes());
        refused(&mut fresh(Adam::default()), &parts.bytes());
    }
}

#[test]
fn a_header_that_claims_too_much_is_refused() {
    let header =
        r#"{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}"#;
    for claimed in [header.len() as u64, u64::MAX, 1 << 40, 99_000_000] {
        let bytes = [&claimed.to_le_bytes()[..], header.as_bytes()].concat();
        refused(&mut fresh(Adam::default()), &bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]
    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), json in any::<bool>()) {
        let mut input = bytes;
        if json && input.len() > 8 {
            let length = (input.len() as u64 - 8).to_le_bytes();
            input[..8].copy_from_slice(&length);
            input[8] = b'{';
        }
        refused(&mut fresh(Adam::default()), &input);
    }

    #[test]
    fn spliced_files_are_refused(at in 0..600_usize, patch in prop::collection::vec(any::<u8>(), 1..40)) {
        let (original, bytes) = saved();
        let mut input = bytes.clone();
        for (i, byte) in patch.into_iter().enumerate() {
            if let Some(slot) = input.get_mut(at + i) {
                *slot = byte;
            }
        }
        let mut other = fresh(Adam::default());
        if other.restore(&input).is_ok() {
            prop_assert_eq!(other.to_bytes().unwrap(), original.to_bytes().unwrap());
        }
    }
}

#[cfg(unix)]
#[test]
fn a_checkpoint_is_as_readable_as_the_users_other_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("state"), folder.path().join("other"));
    std::fs::write(&other, "").unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (optimizer, _) = saved();
    optimizer.save(&path).unwrap();
    assert_eq!(mode(&path), mode(&other));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    optimizer.save(&path).unwrap();
    assert_eq!(mode(&path), 0o640);
}

#[test]
fn saving_replaces_whole_files_and_failing_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut optimizer = fresh(Nesterov::default());
    let mut x = [1.0; N];
    advance(&mut optimizer, &mut x, 5);
    optimizer.save(&path).unwrap();
    let first = std::fs::read(&path).unwrap();
    assert_eq!(first, optimizer.to_bytes().unwrap());
    advance(&mut optimizer, &mut x, 5);
    optimizer.save(&path).unwrap();
    let mut loaded = fresh(Nesterov::default());
    loaded.load(&path).unwrap();
    assert_eq!(loaded.to_bytes().unwrap(), optimizer.to_bytes().unwrap());

    // A folder with the file's name makes the rename fail; the temporary file is removed.
    let blocked = folder.path().join("folder");
    std::fs::create_dir(&blocked).unwrap();
    std::fs::write(blocked.join("kept"), "kept").unwrap();
    assert!(matches!(optimizer.save(&blocked), Err(Error::Io { .. })));
    assert_eq!(std::fs::read(blocked.join("kept")).unwrap(), b"kept");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let nowhere = folder.path().join("missing").join("state");
    let error = optimizer.save(&nowhere).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    let error = loaded.load(folder.path().join("none")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("none"));
    assert_eq!(loaded.to_bytes().unwrap(), optimizer.to_bytes().unwrap());
}

/// Simulates a full disk: a limit on the file size makes the write itself fail.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_file() {
    let Some(full) = std::env::var_os("FOSI_TEST_FULL_DISK") else {
        // The limit holds for a whole process, so the test reruns itself in its own process.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        std::fs::write(&path, "the old state").unwrap();
        let test = std::env::current_exe().unwrap();
        let status = std::process::Command::new("sh")
            .args([
                "-c",
                "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact a_full_disk_leaves_the_old_file",
            ])
            .arg(test)
            .env("FOSI_TEST_FULL_DISK", &path)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(std::fs::read(&path).unwrap(), b"the old state");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        return;
    };
    let optimizer = Fosi::new(Host::<f64>::new(5000), HeavyBall::default(), config()).unwrap();
    assert!(matches!(optimizer.save(full), Err(Error::Io { .. })));
}

#[test]
fn settings_stay_the_optimizers_own() {
    let (_, bytes) = saved();
    let schedule = Schedule::Every {
        warmup: 0,
        interval: 77,
    };
    let config = FosiConfig {
        schedule,
        ..config()
    };
    let mut other = Fosi::new(Host::<f32>::new(N), Adam::default(), config).unwrap();
    other.restore(&bytes).unwrap();
    assert_eq!((other.interval(), other.steps()), (Some(77), 3));
}
