//! Tests of the test: small crates in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::graph::{cycles, imports};
use crate::modules::{Crate, Modules};

const ROOT: [Crate; 2] = [
    Crate {
        name: "house",
        root: "src/lib.rs",
    },
    Crate {
        name: "house_core",
        root: "core/lib.rs",
    },
];

/// What imports what, as `from -> to (names)`, and the circles, in these files.
fn found(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let mut texts: BTreeMap<&Path, &str> = BTreeMap::from([(Path::new("core/lib.rs"), "pub struct Key;")]);
    texts.extend(files.iter().map(|(file, text)| (Path::new(*file), *text)));
    let modules = Modules::read(&ROOT, &|file| texts.get(file).map(|text| (*text).to_owned()));
    let imports = imports(&modules);
    let shown = imports.iter().map(|((from, to), names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("{} -> {} ({})", from.join("::"), to.join("::"), names.join(", "))
    });
    let circle = |circle: &BTreeSet<Vec<String>>| {
        let modules: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
        modules.join(", ")
    };
    (shown.collect(), cycles(&imports).iter().map(circle).collect())
}

#[test]
fn a_circle_through_a_group_and_super_super_is_found() {
    let (imports, circles) = found(&[
        ("src/lib.rs", "mod a; mod c;"),
        ("src/a.rs", "pub mod b; pub struct Thing;"),
        ("src/a/b.rs", "mod deep;"),
        (
            "src/a/b/deep.rs",
            "use super::super::super::c::Other; fn f(_: Other) {}",
        ),
        (
            "src/c.rs",
            "use crate::{a::{self, b}, other}; pub struct Other; fn f(_: a::Thing) {}",
        ),
    ]);
    assert_eq!(
        imports,
        [
            "house::a::b::deep -> house::c (Other)",
            "house::c -> house::a (Thing, a)",
            "house::c -> house::a::b (b)",
        ]
    );
    assert_eq!(circles, Vec::<String>::new(), "nobody comes to `deep`");

    let (_, circles) = found(&[
        ("src/lib.rs", "mod a; mod c;"),
        ("src/a.rs", "pub mod b;"),
        ("src/a/b.rs", "use super::super::c::Other;"),
        ("src/c.rs", "use crate::{a::{self, b}}; pub struct Other;"),
    ]);
    assert_eq!(circles, ["house::a::b, house::c"]);
}

#[test]
fn a_module_and_its_own_children_are_no_circle_but_two_children_are() {
    let parent = "mod b; mod c; use b::B; pub struct A; fn f(_: c::C) {}";
    let (_, circles) = found(&[
        ("src/lib.rs", "mod a;"),
        ("src/a/mod.rs", parent),
        ("src/a/b.rs", "use super::A; pub struct B;"),
        ("src/a/c.rs", "use crate::a::A; use super::b::B; pub struct C;"),
    ]);
    assert_eq!(circles, Vec::<String>::new());
    let (_, circles) = found(&[
        ("src/lib.rs", "mod a;"),
        ("src/a/mod.rs", parent),
        ("src/a/b.rs", "use super::c::C; pub struct B;"),
        ("src/a/c.rs", "use super::b::B; pub struct C;"),
    ]);
    assert_eq!(circles, ["house::a::b, house::a::c"]);
}

#[test]
fn a_circle_by_way_of_a_parent_that_others_are_in_is_found() {
    let (_, circles) = found(&[
        ("src/lib.rs", "mod a; mod x;"),
        ("src/a.rs", "mod b; use crate::x::X; pub struct A;"),
        ("src/a/b.rs", "use super::A; pub struct B;"),
        ("src/x.rs", "use crate::a::b::B; pub struct X;"),
    ]);
    assert_eq!(circles, ["house::a, house::a::b, house::x"]);
}

#[test]
fn a_name_is_followed_through_re_exports_to_where_it_is_defined() {
    let (imports, circles) = found(&[
        ("src/lib.rs", "mod a; mod c;"),
        ("src/a/mod.rs", "mod b; mod d; pub use b::B; pub use self::d::*;"),
        ("src/a/b.rs", "use crate::a::D; pub struct B;"),
        ("src/a/d.rs", "use super::B as Other; pub struct D;"),
        ("src/c.rs", "use crate::a; fn f(_: a::B, _: a::D) {}"),
    ]);
    assert!(
        imports.contains(&"house::c -> house::a::b (B)".to_owned()),
        "{imports:?}"
    );
    assert!(
        imports.contains(&"house::c -> house::a::d (D)".to_owned()),
        "{imports:?}"
    );
    assert_eq!(circles, ["house::a::b, house::a::d"]);
}

#[test]
fn names_in_code_macros_attributes_and_other_crates_count() {
    let (imports, _) = found(&[
        ("src/lib.rs", "mod a; mod c;"),
        (
            "src/a.rs",
            r#"
            fn f() { let _: Vec<crate::c::Generic>; crate::c::call(|| println!("{}", crate::c::IN_MACRO)); }
            #[serde(with = "crate::c::by_name")]
            struct S { #[arg(value_parser = crate::c::parse)] a: house_core::Key }
            "#,
        ),
        (
            "src/c.rs",
            "pub struct Generic; pub fn call() {} pub const IN_MACRO: u8 = 1; pub mod by_name {} pub fn parse() {}",
        ),
    ]);
    assert_eq!(
        imports,
        [
            "house::a -> house::c (Generic, IN_MACRO, by_name, call, parse)",
            "house::a -> house_core (Key)",
        ]
    );
}

#[test]
fn what_is_for_tests_and_visibility_do_not_count() {
    let (imports, _) = found(&[
        (
            "src/lib.rs",
            "mod a; #[cfg(all(test, feature = \"x\"))] mod fixtures; mod c;",
        ),
        (
            "src/a.rs",
            r"
            #[cfg(test)] mod tests;
            #[cfg(test)] use crate::c::Thing;
            pub(in crate::c) struct A;
            impl A { #[cfg(test)] fn f() -> crate::c::Thing { todo!() } }
            #[cfg(not(test))] use crate::c::Other;
            ",
        ),
        ("src/c.rs", "pub struct Thing; pub struct Other;"),
    ]);
    assert_eq!(imports, ["house::a -> house::c (Other)"]);
}

#[test]
fn modules_are_found_inline_and_at_a_given_path() {
    let (imports, _) = found(&[
        (
            "src/lib.rs",
            "mod a { pub mod inner { use crate::far::Far; } } #[path = \"../x/far.rs\"] mod far;",
        ),
        (
            "x/far.rs",
            "mod near; pub struct Far; use house_core as core; fn f(_: core::Key) {}",
        ),
        ("x/near.rs", ""),
    ]);
    assert_eq!(
        imports,
        [
            "house -> house::far (Far)",
            "house::far -> house_core (Key, house_core)"
        ]
    );
}
