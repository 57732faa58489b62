//! The pre-flight as text.

use pum::{Concern, Preflight, Severity};

use crate::terminal::line;

/// All of it: `nothing in the way`, or the concerns, the gravest first; and what was not seen.
pub(crate) fn text(database: &str, preflight: &Preflight) -> String {
    let counts: Vec<String> = [
        (Severity::Blocks, "blocking"),
        (Severity::Delays, "delaying"),
        (Severity::Know, "to know"),
    ]
    .into_iter()
    .map(|(severity, word)| (word, preflight.of(severity).count()))
    .filter(|(_, count)| *count > 0)
    .map(|(word, count)| format!("{word}: {count}"))
    .collect();
    let summary = if counts.is_empty() {
        "nothing in the way".to_owned()
    } else {
        counts.join(", ")
    };
    let mut text = format!("Pre-flight of {}: {summary}.\n", line(database));
    text.extend(preflight.concerns.iter().map(|concern| format!("\n{}", told(concern))));
    for hidden in &preflight.not_seen {
        text.push_str(&format!(
            "\nnot seen: {}\n  because {}\n",
            line(&hidden.what),
            line(&hidden.because)
        ));
        if let Some(advice) = &hidden.advice {
            text.push_str(&format!("  to see it: {}\n", line(advice)));
        }
    }
    text
}

/// A concern in three lines.
pub(crate) fn told(concern: &Concern) -> String {
    let word = match concern.severity {
        Severity::Blocks => "blocks",
        Severity::Delays => "delays",
        Severity::Know => "know",
    };
    format!(
        "{word}: {} [{}]\n  effect: {}\n  to do: {}\n",
        line(&concern.what),
        line(&concern.code),
        line(&concern.effect),
        line(&concern.advice)
    )
}
