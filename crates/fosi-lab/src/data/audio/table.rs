//! The rows of a list: CSV in the variants written by programs, editors and spreadsheets.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{AudioError, DataError};

/// A non-blank row.
pub(super) struct Row {
    /// The line, from 1.
    pub line: u64,
    /// The fields, without quotes and surrounding spaces.
    pub fields: StringRecord,
}

/// All rows of `text`, whose numbers of fields may differ. Lines that start with `comment` are skipped.
///
/// # Errors
/// [`AudioError::Line`] if a quote is not closed on its line: no name in a list spans lines, and the rest of the text
/// would become part of it.
pub(super) fn rows(path: &Path, text: &str, comment: Option<u8>) -> Result<Vec<Row>, DataError> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .comment(comment)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for record in reader.records() {
        let fields = record.map_err(|error| line_error(path, line, error.to_string()))?;
        let start = row_start(text, &fields, comment);
        line += text[counted..start].matches('\n').count() as u64;
        counted = start;
        if fields.iter().any(|field| field.contains(['\n', '\r'])) {
            let reason = "a quoted field does not end on its line: is a quote missing?";
            return Err(line_error(path, line, reason.to_owned()));
        }
        if fields.iter().any(|field| !field.is_empty()) {
            rows.push(Row { line, fields });
        }
    }
    Ok(rows)
}

/// The start of a row: its position is that of preceding blank lines and comments.
fn row_start(text: &str, fields: &StringRecord, comment: Option<u8>) -> usize {
    let before = fields.position().map_or(0, csv::Position::byte) as usize;
    let mut start = before.min(text.len());
    while let Some(&byte) = text.as_bytes().get(start) {
        start += match byte {
            b'\n' | b'\r' => 1,
            byte if Some(byte) == comment => text[start..].find('\n').unwrap_or(text.len() - start),
            _ => break,
        };
    }
    start
}

/// The fields of the rows after the header, which must be `columns`.
///
/// # Errors
/// [`AudioError::Line`] for other columns, which `wrong_columns` describes, or another number of fields.
pub(super) fn columns<const N: usize>(
    path: &Path,
    text: &str,
    columns: [&str; N],
    wrong_columns: impl Fn(&str) -> String,
) -> Result<Vec<(u64, [String; N])>, DataError> {
    let mut rows = rows(path, text, None)?.into_iter();
    let header = rows.next();
    let found = header.as_ref().map(|row| &row.fields);
    if found.is_none_or(|found| found != columns.as_slice()) {
        let found: Vec<&str> = found.iter().flat_map(|fields| fields.iter()).collect();
        let line = header.as_ref().map_or(1, |row| row.line);
        return Err(line_error(path, line, wrong_columns(&found.join(","))));
    }
    rows.map(|row| {
        let fields: Vec<String> = row.fields.iter().map(str::to_owned).collect();
        let fields: [String; N] = fields.try_into().map_err(|fields: Vec<String>| {
            let (count, s) = (fields.len(), if fields.len() == 1 { "" } else { "s" });
            line_error(
                path,
                row.line,
                format!("it has {count} field{s} instead of {N}"),
            )
        })?;
        Ok((row.line, fields))
    })
    .collect()
}

pub(super) fn line_error(path: &Path, line: u64, reason: String) -> DataError {
    AudioError::Line {
        path: path.to_owned(),
        line,
        reason,
    }
    .into()
}
