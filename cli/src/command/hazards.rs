//! What the static reading of deltas found, for people and for programs.

use std::fmt::Write as _;

use pum::{Effect, Hazard, Hazards};
use serde_json::{Value, json};

use crate::terminal::{counted, line};

/// Each hazard with its place, what will happen and what to do instead. What is allowed comes after the others, with its
/// reason.
pub(crate) fn as_text(hazards: &Hazards) -> String {
    if hazards.told.is_empty() {
        return "No hazards stand in the text of the deltas.\n".to_owned();
    }
    let (allowed, open): (Vec<&Hazard>, Vec<&Hazard>) =
        hazards.told.iter().partition(|hazard| hazard.allowed.is_some());
    let mut text = String::new();
    if !open.is_empty() {
        text.push_str("Hazards that stand in the text of the deltas:\n");
        for hazard in open {
            told(&mut text, hazard);
        }
    }
    if hazards.more > 0 {
        let _ = writeln!(text, "  and {} more", counted(hazards.more, "hazard"));
    }
    if !allowed.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("Allowed by the deltas:\n");
        for hazard in allowed {
            told(&mut text, hazard);
        }
    }
    text
}

fn told(text: &mut String, hazard: &Hazard) {
    let effects: Vec<String> = hazard.effects.iter().map(Effect::to_string).collect();
    let effects = if effects.is_empty() {
        String::new()
    } else {
        format!(" ({})", effects.join(", "))
    };
    let place = hazard.location.to_string();
    let _ = writeln!(text, "  {}: {}{effects}", line(&place), hazard.rule);
    let _ = writeln!(text, "    {}", line(&hazard.message));
    match (&hazard.allowed, hazard.advice) {
        (Some(reason), _) => {
            let _ = writeln!(text, "    allowed: {}", line(reason));
        }
        (None, Some(advice)) => {
            let _ = writeln!(text, "    instead: {advice}");
        }
        (None, None) => {}
    }
}

/// The same as a list.
pub(crate) fn as_json(hazards: &Hazards) -> Value {
    json!(hazards.told)
}
