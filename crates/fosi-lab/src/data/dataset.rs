//! Feature vectors with their classes, and the parts of a data set.

/// n feature vectors of the same length, each with a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The name in reports, such as `digits`.
    pub name: String,
    /// n×dim, row by row, scaled to \[0, 1\].
    pub features: Vec<f32>,
    /// n classes, each below `classes`.
    pub labels: Vec<u8>,
    /// The length of a feature vector.
    pub dim: usize,
    /// The number of classes.
    pub classes: usize,
}

impl Dataset {
    /// The number n of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The examples `indices`, in this order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn gather(&self, indices: &[u32]) -> Batch {
        let mut features = Vec::with_capacity(indices.len() * self.dim);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let index = index as usize;
            features.extend_from_slice(&self.features[index * self.dim..(index + 1) * self.dim]);
            labels.push(self.labels[index]);
        }
        Batch { features, labels }
    }

    /// The examples `indices` as a data set.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[u32]) -> Self {
        let Batch { features, labels } = self.gather(indices);
        Self {
            features,
            labels,
            ..self.clone_header()
        }
    }

    fn clone_header(&self) -> Self {
        Self {
            name: self.name.clone(),
            features: Vec::new(),
            labels: Vec::new(),
            dim: self.dim,
            classes: self.classes,
        }
    }
}

/// A few examples, copied so that a framework can take ownership.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// size×dim, row by row.
    pub features: Vec<f32>,
    /// One class per example.
    pub labels: Vec<u8>,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// For training.
    Train,
    /// For validation.
    Validation,
}

/// Training and validation data with the same vector length and classes.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetSplit {
    /// The training data.
    pub train: Dataset,
    /// The validation data.
    pub validation: Dataset,
}
