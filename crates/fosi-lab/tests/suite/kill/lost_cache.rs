//! Kills that lose the page cache, like a power failure: unsynced data is lost, truncated or kept, and the resumed run
//! is still bit-identical.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::UNIX_EPOCH;

use super::{ARGUMENTS, LeftAlone, content, left_alone};
use crate::campaign::number;
use fosi_lab::runs::{Checkpoint, Run, RunStatus};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An entry of a folder.
#[derive(Clone, Debug)]
enum Entry {
    File(Vec<u8>),
    Folder(BTreeMap<String, Entry>),
}

/// A folder whose program records every sync in a journal.
struct Disk {
    root: tempfile::TempDir,
    journal: tempfile::TempDir,
    library: PathBuf,
}

/// The name of a file or folder in the journal.
fn key(metadata: &Metadata) -> Option<String> {
    let born = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let (seconds, nanos) = (born.as_secs(), born.subsec_nanos());
    Some(format!("{}-{seconds}-{nanos}", metadata.ino()))
}

impl Disk {
    /// `None` without a C compiler, or if files have no creation times.
    fn new(tools: &Path) -> Option<Self> {
        let library = tools.join("journal.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/kill/journal.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library);
        let compiled = compiler.args([source, "-ldl"]).status();
        if !compiled.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no C compiler");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        if key(&root.path().metadata().unwrap()).is_none() {
            eprintln!("skipped: the file system keeps no times of birth");
            return None;
        }
        let disk = Self {
            root,
            journal: tempfile::tempdir().unwrap(),
            library,
        };
        disk.boot(&BTreeMap::new());
        Some(disk)
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.start_program(env!("CARGO_BIN_EXE_fosi"), arguments)
    }

    fn start_program(&self, program: &str, arguments: &[&str]) -> Child {
        Command::new(program)
            .args(arguments)
            .current_dir(self.root.path())
            .env("LD_PRELOAD", &self.library)
            .env("FOSI_JOURNAL", self.journal.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Sets the disk's content to `entries`, all of them synced.
    fn boot(&self, entries: &BTreeMap<String, Entry>) {
        for folder in [self.root.path(), self.journal.path()] {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => fs::remove_dir_all(path).unwrap(),
                    false => fs::remove_file(path).unwrap(),
                }
            }
        }
        self.write(self.root.path(), entries);
    }

    fn write(&self, folder: &Path, entries: &BTreeMap<String, Entry>) {
        let mut lines = String::new();
        for (name, entry) in entries {
            let path = folder.join(name);
            let kind = match entry {
                Entry::File(bytes) => {
                    fs::write(&path, bytes).unwrap();
                    'f'
                }
                Entry::Folder(entries) => {
                    fs::create_dir(&path).unwrap();
                    self.write(&path, entries);
                    'd'
                }
            };
            let own = key(&path.metadata().unwrap()).unwrap();
            if let Entry::File(bytes) = entry {
                fs::write(self.journal.path().join(&own), bytes).unwrap();
            }
            lines += &format!("{own} {kind} {name}\n");
        }
        let own = key(&folder.metadata().unwrap()).unwrap();
        fs::write(self.journal.path().join(own), lines).unwrap();
    }

    /// A possible state after a power failure: each folder has the entries of its last sync or, for some names, the
    /// current ones; each file has its synced content or, for some, a truncated part of what was written since.
    fn after_power_failure(&self, random: &mut ChaCha8Rng) -> BTreeMap<String, Entry> {
        let own = key(&self.root.path().metadata().unwrap()).unwrap();
        self.surviving(Some(self.root.path()), &own, random)
    }

    /// `now` is the folder's current position, if it still exists.
    fn surviving(
        &self,
        now: Option<&Path>,
        own: &str,
        random: &mut ChaCha8Rng,
    ) -> BTreeMap<String, Entry> {
        let mut synced = BTreeMap::new();
        let listing = fs::read_to_string(self.journal.path().join(own)).unwrap_or_default();
        for line in listing.lines() {
            let mut parts = line.splitn(3, ' ');
            let mut part = || parts.next().unwrap().to_owned();
            let (own, kind) = (part(), part());
            synced.insert(part(), (own, kind == "d"));
        }
        let mut current = BTreeMap::new();
        for entry in now.into_iter().flat_map(|now| fs::read_dir(now).unwrap()) {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let name = entry.file_name().into_string().unwrap();
            current.insert(name, (key(&metadata).unwrap(), metadata.is_dir()));
        }
        let names: Vec<String> = synced.keys().chain(current.keys()).cloned().collect();
        let mut left = BTreeMap::new();
        for name in names {
            if left.contains_key(&name) {
                continue;
            }
            let unsynced =
                synced.get(&name).map(|(own, _)| own) != current.get(&name).map(|(own, _)| own);
            let chosen = match unsynced && random.random::<f64>() < 0.5 {
                true => current.get(&name),
                false => synced.get(&name),
            };
            let Some((own, is_folder)) = chosen else {
                continue;
            };
            let still = current.get(&name).is_some_and(|(now, _)| now == own);
            let path = now.filter(|_| still).map(|now| now.join(&name));
            let entry = match is_folder {
                true => Entry::Folder(self.surviving(path.as_deref(), own, random)),
                false => Entry::File(self.surviving_bytes(path.as_deref(), own, random)),
            };
            left.insert(name, entry);
        }
        left
    }

    fn surviving_bytes(&self, now: Option<&Path>, own: &str, random: &mut ChaCha8Rng) -> Vec<u8> {
        let synced = fs::read(self.journal.path().join(own)).unwrap_or_default();
        let Some(mut bytes) = now.map(|now| fs::read(now).unwrap()) else {
            return synced;
        };
        if bytes.len() <= synced.len() || random.random::<f64>() < 0.5 {
            return synced;
        }
        bytes.truncate(random.random_range(synced.len()..=bytes.len()));
        bytes
    }
}

#[test]
fn runs_whose_page_cache_is_lost_end_bit_equal() {
    let (kills, seed) = (number("FOSI_KILLS", 12), number("FOSI_KILL_SEED", 1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let tools = tempfile::tempdir().unwrap();
    let LeftAlone {
        run: expected,
        duration,
    } = left_alone();
    let (mut killed, mut ended, mut lost) = (0, 0, 0);
    while killed < kills {
        let Some(disk) = Disk::new(tools.path()) else {
            return;
        };
        let run = disk.root.path().join("runs/r");
        loop {
            // A run that has lost its first files counts as not started.
            let begun = run.join("run.json").exists();
            if !begun && run.exists() {
                fs::remove_dir_all(&run).unwrap();
            }
            let mut child = match begun {
                true => disk.start(&["train", "--resume", "runs/r"]),
                false => disk.start(&ARGUMENTS),
            };
            if killed < kills {
                sleep(duration.mul_f64(0.6 * random.random::<f64>()));
            }
            if killed == kills || child.try_wait().unwrap().is_some() {
                assert!(
                    child.wait().unwrap().success(),
                    "after kill {killed}, seed {seed}"
                );
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            let before = Run::read(&run).map_or(0, |run| run.rows.len());
            disk.boot(&disk.after_power_failure(&mut random));
            let newest = Checkpoint::read_newest(&run).unwrap();
            let damaged = newest.map_or(0, |(_, damaged)| damaged.len());
            assert_eq!(
                damaged, 0,
                "a cut checkpoint after kill {killed}, seed {seed}"
            );
            lost += u64::from(Run::read(&run).map_or(0, |run| run.rows.len()) < before);
        }
        let found = Run::read(&run).unwrap();
        assert_eq!(found.record.status, RunStatus::Finished);
        assert_eq!(content(&found), content(expected), "seed {seed}");
        assert_eq!(found.record.notes, expected.record.notes);
        ended += 1;
    }
    eprintln!(
        "{killed} kills with the page cache in {ended} runs, {lost} of which lost rows, seed {seed}: each run ended bit-equal"
    );
}

/// A journal that kept too much would make the test meaningless.
#[test]
fn what_was_not_synced_can_be_lost() {
    let tools = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(tools.path()) else {
        return;
    };
    let lines = "echo one >kept; sync kept; sync .; echo two >>kept; echo three >unknown; sync unknown; echo four >lost";
    let mut shell = disk.start_program("sh", &["-c", lines]);
    assert!(shell.wait().unwrap().success());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let left = disk.after_power_failure(&mut random);
        let text = |name: &str| match left.get(name) {
            Some(Entry::File(bytes)) => Some(String::from_utf8(bytes.clone()).unwrap()),
            Some(Entry::Folder(_)) => panic!("{name} is a folder"),
            None => None,
        };
        let kept = text("kept").unwrap();
        assert!(
            "one\ntwo\n".starts_with(&kept) && kept.len() >= 4,
            "{kept:?}"
        );
        // The file's entry may be lost, but not its content.
        let unknown = text("unknown");
        assert!(
            unknown.as_deref().is_none_or(|text| text == "three\n"),
            "{unknown:?}"
        );
        let lost = text("lost");
        assert!(
            lost.as_deref()
                .is_none_or(|text| "four\n".starts_with(text)),
            "{lost:?}"
        );
        seen.insert((kept, unknown, lost));
    }
    let all = |kept: &str, unknown: Option<&str>, lost: Option<&str>| {
        let outcome = (
            kept.to_owned(),
            unknown.map(str::to_owned),
            lost.map(str::to_owned),
        );
        assert!(seen.contains(&outcome), "never {outcome:?}");
    };
    all("one\n", None, None);
    all("one\ntwo\n", Some("three\n"), Some("four\n"));
    all("one\n", Some("three\n"), Some(""));
}
