use std::sync::{Arc, Mutex};

use tracing::{debug, error, info, trace, warn};

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: LogFormat, level: &str, log: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let level = level.parse().expect("a level");
    let subscriber = subscriber(format, &level, move || writer.clone());
    tracing::subscriber::with_default(subscriber, log);
    let bytes = buffer.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn levels_with_and_without_targets_are_accepted() {
    for text in [
        "off",
        "error",
        "warn",
        "info",
        "debug",
        "trace",
        "info,kube=debug",
        "kube=off",
    ] {
        let level: LogLevel = text.parse().expect(text);
        assert_eq!(level.to_string(), text);
    }
}

#[test]
fn anything_else_is_an_error_that_shows_the_part() {
    for (text, part) in [
        ("", ""),
        ("inof", "inof"),
        ("INFO", "INFO"),
        ("info,", ""),
        ("info,kube", "kube"),
        ("info,kube=loud", "kube=loud"),
        ("info,=debug", "=debug"),
        ("info,[span]=debug", "[span]=debug"),
    ] {
        let error = text.parse::<LogLevel>().expect_err(text);
        assert_eq!(error, LogLevelError(part.to_owned()));
    }
}

#[test]
fn a_level_of_a_target_overrides_the_general_one() {
    let text = logged(LogFormat::Text, "warn,kube=debug,loud=off", || {
        info!("ours at info");
        warn!("ours at warn");
        debug!(target: "kube_runtime::controller", "kube at debug");
        trace!(target: "kube_runtime::controller", "kube at trace");
        error!(target: "loud", "loud at error");
    });
    assert!(
        text.contains("ours at warn") && text.contains("kube at debug"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn response_bodies_that_kube_logs_never_appear_whatever_was_asked_for() {
    for level in [
        "trace",
        "off,kube_client::client=trace",
        "off,kube_client=trace",
        "trace,kube_client::client::builder=trace",
    ] {
        let text = logged(LogFormat::Text, level, || {
            error!(target: "kube_client::client", "secret body");
            warn!(target: "kube_client::client", "secret body");
            trace!(target: "kube_client::client", "secret body");
            warn!(target: "kube_client::client::builder", "secret body");
            error!(target: "kube_client::config", "a word about the configuration");
        });
        assert!(!text.contains("secret body"), "{level}: {text}");
    }
}

#[test]
fn json_lines_carry_time_level_message_and_fields_at_the_top() {
    let text = logged(LogFormat::Json, "info", || {
        info!(address = "[::]:8080", "admin server listening");
    });
    let line: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "admin server listening");
    assert_eq!(line["address"], "[::]:8080");
    let time = line["timestamp"].as_str().expect("a time");
    // 2026-11-21T09:55:00.123456Z
    assert!(
        time.len() == 27 && time.ends_with('Z') && time.get(10..11) == Some("T"),
        "{time}"
    );
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn text_lines_have_no_colour_codes() {
    let text = logged(LogFormat::Text, "info", || info!(kind = "ConfigMap", "changed"));
    assert!(
        text.contains("changed kind=\"ConfigMap\"") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn formats_are_text_and_json_only() {
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    assert_eq!("JSON".parse::<LogFormat>(), Err(LogFormatError));
}
