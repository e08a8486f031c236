//! The modules of crates, read from their `mod` declarations. What is compiled for tests only is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

use crate::names::{self, Named, Used};

/// A crate to read.
#[derive(Clone, Copy)]
pub struct Crate {
    /// Its name in code.
    pub name: &'static str,
    /// The file of its root module, from the repository's root.
    pub root: &'static str,
}

/// One module.
pub struct Module {
    /// From the crate's name on.
    pub path: Vec<String>,
    /// Where it is written. Inline modules share a file with the one around them.
    pub file: PathBuf,
    /// What it defines besides modules.
    pub items: BTreeSet<String>,
    /// What it imports.
    pub uses: Vec<Used>,
    /// The paths that it names elsewhere.
    pub named: Vec<Named>,
}

/// Modules by path.
#[derive(Default)]
pub struct Modules {
    pub all: BTreeMap<Vec<String>, Module>,
}

impl Modules {
    /// Reads crates. `read` gives the text of a file that exists.
    pub fn read(crates: &[Crate], read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut modules = Self::default();
        for Crate { name, root } in crates {
            let root = Path::new(root);
            let folder = root.parent().expect("a root file is in a folder");
            modules.add_file(vec![(*name).to_owned()], root, folder, read);
        }
        modules
    }

    fn add_file(&mut self, path: Vec<String>, file: &Path, folder: &Path, read: &dyn Fn(&Path) -> Option<String>) {
        let text = read(file).unwrap_or_else(|| panic!("{} is not there", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.add(path, file, folder, &parsed.items, read);
    }

    /// `folder`: where the files of its child modules are.
    fn add(
        &mut self,
        path: Vec<String>,
        file: &Path,
        folder: &Path,
        items: &[Item],
        read: &dyn Fn(&Path) -> Option<String>,
    ) {
        let (uses, named) = names::of(items);
        let module = Module {
            path: path.clone(),
            file: file.to_owned(),
            items: items
                .iter()
                .filter_map(defined)
                .chain(items.iter().flat_map(in_macro))
                .collect(),
            uses,
            named,
        };
        self.all.insert(path.clone(), module);
        for item in items {
            let Item::Mod(child) = item else { continue };
            if is_for_tests(&child.attrs) {
                continue;
            }
            let name = child.ident.to_string();
            let child_path = [path.clone(), vec![name.clone()]].concat();
            if let Some((_, items)) = &child.content {
                self.add(child_path, file, &folder.join(&name), items, read);
                continue;
            }
            if let Some(given) = given_path(&child.attrs) {
                let child_file = normal(&file.parent().expect("a file is in a folder").join(given));
                let child_folder = child_file.parent().expect("a file is in a folder").to_owned();
                self.add_file(child_path, &child_file, &child_folder, read);
                continue;
            }
            let beside = folder.join(format!("{name}.rs"));
            let inside = folder.join(&name).join("mod.rs");
            let child_file = if read(&beside).is_some() { beside } else { inside };
            self.add_file(child_path, &child_file, &folder.join(&name), read);
        }
    }
}

/// Whether something is compiled for tests only.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
    })
}

fn needs_test(condition: &Meta) -> bool {
    let parts = |list: &syn::MetaList| {
        let parsed = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        parsed.map(Vec::from_iter).unwrap_or_default()
    };
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => parts(list).iter().any(needs_test),
        Meta::List(list) if list.path.is_ident("any") => parts(list).iter().all(needs_test),
        Meta::List(_) | Meta::NameValue(_) => false,
    }
}

/// What `#[path = "…"]` says.
fn given_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        if part == std::path::Component::ParentDir {
            whole.pop();
        } else {
            whole.push(part);
        }
        whole
    })
}

/// The names that a macro may define: what follows `enum`, `struct` and the like in its definition, and any name where
/// it is called.
fn in_macro(item: &Item) -> Vec<String> {
    let mut names = Vec::new();
    if let Item::Macro(item) = item {
        add_names(item.mac.tokens.clone(), item.ident.is_none(), &mut names);
    }
    names
}

fn add_names(tokens: TokenStream, any: bool, names: &mut Vec<String>) {
    const KEYWORDS: [&str; 8] = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];
    let mut defines = any;
    for token in tokens {
        match token {
            TokenTree::Group(group) => add_names(group.stream(), any, names),
            TokenTree::Ident(ident) => {
                if defines {
                    names.push(ident.to_string());
                }
                defines = any || KEYWORDS.iter().any(|keyword| ident == keyword);
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => defines = any,
        }
    }
}

/// The name that an item defines, unless it is a module.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
