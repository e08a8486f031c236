//! The paths that a module names: in `use` trees, in code, and in macros, whose tokens are all that is known.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

use crate::modules::is_for_tests;

/// A path as it is written, such as `super`, `super`, `index`, `Index`.
pub type Named = Vec<String>;

/// One leaf of a `use` tree.
pub struct Used {
    /// What is imported; of `a::*` only `a`.
    pub path: Named,
    /// What it is called from here on; `None`: everything in it.
    pub name: Option<String>,
}

/// What these items name; what is in modules among them is not theirs.
pub fn of(items: &[Item]) -> (Vec<Used>, Vec<Named>) {
    let mut names = Names::default();
    for item in items.iter().filter(|item| !matches!(item, Item::Mod(_))) {
        names.visit_item(item);
    }
    (names.uses, names.named)
}

#[derive(Default)]
struct Names {
    uses: Vec<Used>,
    named: Vec<Named>,
}

impl Names {
    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let longer = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&longer(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(before, tree)),
            UseTree::Name(name) if name.ident == "self" => self.add_use(before.to_vec(), before.last().cloned()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                self.add_use(before.to_vec(), Some(rename.rename.to_string()));
            }
            UseTree::Name(name) => self.add_use(longer(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(rename) => self.add_use(longer(&rename.ident), Some(rename.rename.to_string())),
            UseTree::Glob(_) => self.uses.push(Used {
                path: before.to_vec(),
                name: None,
            }),
        }
    }

    fn add_use(&mut self, path: Named, name: Option<String>) {
        let name = Some(name.unwrap_or_default());
        self.uses.push(Used { path, name });
    }

    /// Everything in tokens that looks like a path of several parts.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Named = Vec::new();
        let mut colons = 0;
        let mut after_dot = false;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => path.push(ident.to_string()),
                TokenTree::Ident(ident) => {
                    self.add_path(&mut path);
                    if !after_dot {
                        path.push(ident.to_string());
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Punct(punct) => {
                    self.add_path(&mut path);
                    after_dot = punct.as_char() == '.';
                    colons = 0;
                    continue;
                }
                TokenTree::Group(group) => {
                    // `a::{b, c}` in the tokens of a macro is beyond what is needed; its parts are looked at.
                    self.add_path(&mut path);
                    self.add_tokens(group.stream());
                }
                TokenTree::Literal(literal) => {
                    self.add_path(&mut path);
                    let text = literal.to_string();
                    if let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                        // What serde and schemars are given: `with = "crate::a::b"`.
                        if let Ok(quoted) = syn::parse_str::<syn::Path>(text) {
                            self.visit_path(&quoted);
                        }
                    }
                }
            }
            colons = 0;
            after_dot = false;
        }
        self.add_path(&mut path);
    }

    fn add_path(&mut self, path: &mut Named) {
        let path = std::mem::take(path);
        // A name by itself was imported, which is looked at, or is of this module.
        if path.len() > 1 {
            self.named.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[Attribute] = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut named = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add_path(&mut named);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'ast syn::Macro) {
        self.visit_path(&of.path);
        self.add_tokens(of.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            syn::Meta::List(list) => self.add_tokens(list.tokens.clone()),
            syn::Meta::Path(_) | syn::Meta::NameValue(_) => {}
        }
    }

    /// `pub(in crate::a)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
