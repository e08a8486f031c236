//! The state of all flags for a browser and for programs.

use std::fmt::Write as _;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{Flags, Kind, Listed};

impl Flags {
    /// A page at `/`, and JSON at `/json` and for those who accept `application/json`; to be nested where
    /// you like. It shows values, masks those of secret flags, and changes nothing. Serve it where only
    /// those come who may see the values.
    pub fn router<S>(&self) -> Router<S> {
        Router::new()
            .route("/", get(page))
            .route("/json", get(json))
            .with_state(self.clone())
    }
}

async fn page(State(flags): State<Flags>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let wants_json =
        accepted.is_some_and(|accepted| accepted.contains("application/json") && !accepted.contains("text/html"));
    if wants_json {
        return json(State(flags)).await;
    }
    with_type("text/html; charset=utf-8", html(&flags))
}

async fn json(State(flags): State<Flags>) -> Response {
    let body = serde_json::json!({
        "flags": flags.list(),
        "problem": flags.problem().map(|problem| problem.to_string()),
        "refusals": flags.refusals(),
        "needsRestart": flags.needs_restart(),
    });
    with_type("application/json", body.to_string())
}

fn with_type(content_type: &'static str, body: String) -> Response {
    // Values are nobody's to keep.
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body).into_response()
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Flags</title><style>\
body{font:15px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}\
td,th{border-bottom:1px solid #ccc;padding:.4em .8em;text-align:left;vertical-align:top}\
.bad{color:#b00020}.note{color:#8a5a00}small{color:#666}</style><h1>Flags</h1>";

fn html(flags: &Flags) -> String {
    let mut page = HEAD.to_owned();
    if let Some(problem) = flags.problem() {
        let _ = write!(
            page,
            "<p class=bad>The newest version is rejected: {}</p>",
            escape(&problem.to_string())
        );
    }
    page.push_str("<table><tr><th>name<th>kind<th>value<th>default<th>source<th>last change (UTC)<th>last error</tr>");
    for flag in flags.list() {
        row(&mut page, &flag);
    }
    page.push_str("</table>");
    page
}

fn row(page: &mut String, flag: &Listed) {
    let kind = match flag.kind {
        Kind::Static => "static",
        Kind::Dynamic => "dynamic",
    };
    let restart = flag.after_restart.as_ref().map_or(String::new(), |value| {
        format!(
            "<br><span class=note>restart required to apply {}</span>",
            escape(value)
        )
    });
    let _ = write!(
        page,
        "<tr><td><code>{}</code><br><small>{}</small><td>{kind}<br><small>{}</small><td><code>{}</code>{restart}\
         <td><code>{}</code><td>{}<td>{}<td class=bad>{}</tr>",
        escape(&flag.name),
        escape(&flag.help),
        escape(&flag.value_type),
        escape(&flag.value),
        escape(&flag.default),
        escape(&flag.source.to_string()),
        flag.last_change.as_deref().unwrap_or("-"),
        escape(flag.last_error.as_deref().unwrap_or("-")),
    );
}

/// Values come from whoever may edit the source, and are not to be markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
