use std::collections::BTreeSet;

use super::*;

#[test]
fn every_key_is_ours_is_read_and_stands_once() {
    let keys: BTreeSet<&str> = Annotation::ALL.iter().map(|annotation| annotation.key()).collect();
    assert_eq!(keys.len(), Annotation::ALL.len());
    for key in keys {
        assert!(key.starts_with(PREFIX) && is_read(key), "{key}");
    }
}

#[test]
fn every_row_is_a_line_of_a_table() {
    for annotation in Annotation::ALL {
        let AnnotationRow {
            key,
            role,
            value,
            default,
            help,
        } = annotation.row();
        for cell in [key, value, default, help] {
            assert!(!cell.contains(['|', '\n']), "{key}: {cell}");
        }
        assert_eq!(
            default.is_empty(),
            matches!(role, AnnotationRole::Written(_)),
            "{key}: {default}"
        );
        assert!(!help.is_empty() && !value.is_empty(), "{key}");
    }
}
