//! Finds the data sets in a folder and checks whether they are complete and undamaged.

use std::path::Path;

use super::{
    AudioError, AudioSetFiles, AudioSplit, Damaged, DataError, DataName, ImagesError, NonAscii,
    TextError, colour_images, find_text, fsdd, mnist, read_text,
};

/// The result of checking a data set.
#[derive(Debug)]
pub struct Finding {
    /// The data set.
    pub data: DataName,
    /// The state of the data set.
    pub state: State,
}

/// The state of a data set.
#[derive(Debug)]
#[non_exhaustive]
pub enum State {
    /// The data set is absent; the loader's message lists the searched places.
    Absent(DataError),
    /// The data set can be read completely.
    Whole {
        /// A description of the content.
        contents: String,
        /// How it differs from the published data set, if it does.
        differs: Option<String>,
    },
    /// The data set cannot be used.
    Damaged(DataError),
}

/// Reads every data set in `directory` as its loader does, and decodes every file.
#[must_use]
pub fn check(directory: &Path) -> Vec<Finding> {
    let checks: [(DataName, Check); 5] = [
        (DataName::Mnist, check_mnist),
        (DataName::Cifar10, check_cifar10),
        (DataName::Tinyshakespeare, check_text),
        (DataName::Fsdd, check_fsdd),
        (DataName::Audioset, check_audio_set),
    ];
    let finding = |(data, check): (DataName, Check)| Finding {
        data,
        state: match check(directory) {
            Ok((contents, differs)) => State::Whole { contents, differs },
            Err(error) if is_absent(&error) => State::Absent(error),
            Err(error) => State::Damaged(error),
        },
    };
    checks.into_iter().map(finding).collect()
}

/// Returns a description of the content, and how it differs from the published data set.
type Check = fn(&Path) -> Result<(String, Option<String>), DataError>;

/// Whether no file of the data set exists. A data set that lacks only some files is damaged.
fn is_absent(error: &DataError) -> bool {
    match error {
        // The first file that the loader searches.
        DataError::Missing { name, .. } => name.starts_with("train-images"),
        DataError::Images(ImagesError::NoImages { .. })
        | DataError::Text(TextError::Missing { .. })
        | DataError::Audio(AudioError::NoRecordings { .. }) => true,
        DataError::Audio(AudioError::MissingList { name, .. }) => name.starts_with("class_labels"),
        _ => false,
    }
}

fn differs(what: &str, found: usize, published: usize) -> Option<String> {
    (found != published).then(|| format!("the publishers give {published} {what}"))
}

fn check_mnist(directory: &Path) -> Result<(String, Option<String>), DataError> {
    let split = mnist(directory)?;
    let (train, test) = (split.train.len(), split.validation.len());
    let contents = format!(
        "{train} training and {test} test images of {} pixels",
        split.train.dim
    );
    Ok((contents, differs("images", train + test, 70_000)))
}

fn check_cifar10(directory: &Path) -> Result<(String, Option<String>), DataError> {
    let split = colour_images(directory, None, Damaged::Refuse)?;
    let (train, test) = (split.train.len(), split.test.len());
    let contents = format!(
        "{train} training and {test} test images of {}×{} in {} classes",
        split.train.width,
        split.train.height,
        split.train.class_names.len()
    );
    Ok((contents, differs("images", train + test, 60_000)))
}

fn check_text(directory: &Path) -> Result<(String, Option<String>), DataError> {
    let (codes, _) = read_text(&find_text(directory)?, NonAscii::Refuse)?;
    let contents = format!("{} characters, all ASCII", codes.len());
    Ok((contents, differs("characters", codes.len(), 1_115_394)))
}

fn check_fsdd(directory: &Path) -> Result<(String, Option<String>), DataError> {
    let contents = check_clips(&fsdd(directory)?)?;
    Ok((contents.0, differs("recordings", contents.1, 3_000)))
}

fn check_audio_set(directory: &Path) -> Result<(String, Option<String>), DataError> {
    let split = AudioSetFiles::find(directory)?.read(Damaged::Refuse)?;
    Ok((check_clips(&split)?.0, None))
}

fn check_clips(split: &AudioSplit) -> Result<(String, usize), DataError> {
    let mut patches = 0;
    for part in [&split.train, &split.validation] {
        // In parts, because a large decoded set would fill the memory.
        let indices: Vec<u32> = (0..part.len() as u32).collect();
        for indices in indices.chunks(512) {
            patches += part.decode(indices, Damaged::Refuse)?.len();
        }
    }
    let (train, validation) = (split.train.len(), split.validation.len());
    let contents = format!(
        "{train} training and {validation} validation clips, {patches} patches, in {} classes",
        split.train.class_names.len()
    );
    Ok((contents, train + validation))
}
