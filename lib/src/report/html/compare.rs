//! Two texts side by side, line by line.

use std::time::{Duration, Instant};

use similar::{ChangeTag, DiffOp, DiffTag, TextDiff};

use crate::diff::AttributeChange;
use crate::report::escape::{ended, escape, marked, marked_from, visible};

/// How long one pair of texts may be compared before the rest is given as a block.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many lines around a change are shown; longer runs of equal lines are folded.
const CONTEXT: usize = 3;
/// To fold fewer lines saves nothing.
const FOLDED: usize = 4;
/// How many lines may have changed at one place for the words in them to be compared too.
const WORDS: usize = 60;

/// An attribute whose values are compared line by line.
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) removed: usize,
    pub(crate) added: usize,
    pub(crate) unfolded: bool,
    pub(crate) runs: Vec<Run>,
}

/// Rows that are shown or folded together.
pub(crate) struct Run {
    pub(crate) folded: bool,
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct Row {
    pub(crate) changed: bool,
    pub(crate) left: Option<Line>,
    pub(crate) right: Option<Line>,
}

pub(crate) struct Line {
    pub(crate) number: usize,
    /// Texts, and whether they are what changed in the line.
    pub(crate) words: Vec<(bool, String)>,
}

impl Comparison {
    pub(super) fn of(attribute: &AttributeChange, until: Option<Instant>) -> Comparison {
        let [left, right] = ended([attribute.left.as_deref(), attribute.right.as_deref()]);
        let deadline = [Instant::now().checked_add(PATIENCE), until]
            .into_iter()
            .flatten()
            .min();
        let mut configuration = TextDiff::configure();
        if let Some(deadline) = deadline {
            configuration.deadline(deadline);
        }
        let diff = configuration.diff_lines(&*left, &*right);
        let mut rows = Vec::new();
        for operation in diff.ops() {
            rows.extend(lines(&diff, operation, deadline));
        }
        let count =
            |side: fn(&Row) -> &Option<Line>| rows.iter().filter(|row| row.changed && side(row).is_some()).count();
        Comparison {
            name: escape(&attribute.name),
            removed: count(|row| &row.left),
            added: count(|row| &row.right),
            unfolded: false,
            runs: runs(rows),
        }
    }

    pub(super) fn shown_rows(&self) -> usize {
        self.runs
            .iter()
            .filter(|run| !run.folded)
            .map(|run| run.rows.len())
            .sum()
    }
}

fn lines(diff: &TextDiff<'_, '_, str>, operation: &DiffOp, deadline: Option<Instant>) -> Vec<Row> {
    let (old, new) = (operation.old_range(), operation.new_range());
    let number = |index: Option<usize>| index.map_or(0, |index| index + 1);
    if operation.tag() == DiffTag::Replace && old.len() + new.len() <= WORDS {
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        for change in diff.iter_inline_changes_deadline(operation, deadline) {
            let line = Line {
                number: number(change.old_index().or(change.new_index())),
                words: words(change.values()),
            };
            match change.tag() {
                ChangeTag::Insert => rights.push(line),
                _ => lefts.push(line),
            }
        }
        return beside(lefts, rights, true);
    }
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    for change in diff.iter_changes(operation) {
        let line = |index| Line {
            number: number(index),
            words: vec![(
                false,
                if change.tag() == ChangeTag::Equal {
                    shown(change.value(), escape)
                } else {
                    shown(change.value(), marked)
                },
            )],
        };
        if change.tag() != ChangeTag::Insert {
            lefts.push(line(change.old_index()));
        }
        if change.tag() != ChangeTag::Delete {
            rights.push(line(change.new_index()));
        }
    }
    beside(lefts, rights, operation.tag() != DiffTag::Equal)
}

fn beside(lefts: Vec<Line>, rights: Vec<Line>, changed: bool) -> Vec<Row> {
    let (mut lefts, mut rights) = (lefts.into_iter(), rights.into_iter());
    let mut rows = Vec::new();
    loop {
        let (left, right) = (lefts.next(), rights.next());
        if left.is_none() && right.is_none() {
            return rows;
        }
        rows.push(Row { changed, left, right });
    }
}

/// Divides rows into those that are shown, which are near a change, and those that are folded.
fn runs(rows: Vec<Row>) -> Vec<Run> {
    let mut near = vec![false; rows.len()];
    for (place, _) in rows.iter().enumerate().filter(|(_, row)| row.changed) {
        let from = place.saturating_sub(CONTEXT);
        for near in near.iter_mut().skip(from).take(place + CONTEXT + 1 - from) {
            *near = true;
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for (row, near) in rows.into_iter().zip(near) {
        match runs.last_mut() {
            Some(run) if run.folded != near => run.rows.push(row),
            _ => runs.push(Run {
                folded: !near,
                rows: vec![row],
            }),
        }
    }
    for run in runs.iter_mut().filter(|run| run.rows.len() < FOLDED) {
        run.folded = false;
    }
    runs
}

/// The pieces of a line that changed.
fn words(pieces: &[(bool, &str)]) -> Vec<(bool, String)> {
    let line: String = pieces.iter().map(|(_, piece)| *piece).collect();
    let end = visible(line.trim_end_matches(['\r', '\n']));
    let mut start = 0;
    pieces
        .iter()
        .map(|(emphasized, piece)| {
            let end = end.saturating_sub(start);
            start += piece.len();
            (*emphasized, shown(piece, |piece| marked_from(piece, end)))
        })
        .collect()
}

/// A line or a piece of one without its end.
fn shown(text: &str, escape: impl Fn(&str) -> String) -> String {
    let line = text.strip_suffix('\n').unwrap_or(text);
    match line.strip_suffix('\r') {
        Some(line) if text.ends_with('\n') => escape(line) + "\\r",
        _ => escape(line),
    }
}
