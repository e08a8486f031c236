//! Which module imports which, and the cycles in that.
//!
//! A name is followed to where it is defined: who imports what `a` re-exports of `a::b` imports `a::b`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::modules::{Module, Modules};

/// Re-exports that are followed for one name; a longer chain is a circle of globs.
const MOST_STEPS: usize = 16;

/// From the importing module to the imported one, with the names.
pub type Imports = BTreeMap<(Vec<String>, Vec<String>), BTreeSet<String>>;

/// Who imports whom. Inline modules count as the module of their file.
pub fn imports(modules: &Modules) -> Imports {
    let mut imports = Imports::new();
    for module in modules.all.values() {
        let from = of_file(modules, module);
        let used = module.uses.iter().map(|used| &used.path);
        for path in used.chain(&module.named) {
            let Some((target, name)) = resolve(modules, module, path, 0) else {
                continue;
            };
            let to = of_file(modules, target);
            if from != to {
                imports.entry((from.clone(), to)).or_default().insert(name);
            }
        }
    }
    imports
}

/// The outermost module of a module's file.
fn of_file(modules: &Modules, module: &Module) -> Vec<String> {
    let mut path = module.path.as_slice();
    while let [outer @ .., _] = path
        && modules.all.get(outer).is_some_and(|outer| outer.file == module.file)
    {
        path = outer;
    }
    path.to_vec()
}

/// Where a path leads that a module names: to which module, and under which name. `None`: to another's crate, to
/// something for tests, or to a value.
fn resolve<'a>(modules: &'a Modules, from: &Module, path: &[String], steps: usize) -> Option<(&'a Module, String)> {
    let (first, mut rest) = path.split_first()?;
    let start: Vec<String> = match first.as_str() {
        "crate" => vec![from.path.first()?.clone()],
        "self" => from.path.clone(),
        "super" => {
            let (_, parent) = from.path.split_last()?;
            let mut parent = parent;
            while let [next, after @ ..] = rest
                && next == "super"
            {
                (_, parent) = parent.split_last()?;
                rest = after;
            }
            parent.to_vec()
        }
        name => {
            let child = [from.path.clone(), vec![name.to_owned()]].concat();
            if modules.all.contains_key(&child) {
                child
            } else if let Some(used) = imported(from, name)
                && steps < MOST_STEPS
                && used != path
            {
                let whole = [used, rest].concat();
                return resolve(modules, from, &whole, steps + 1);
            } else if modules.all.contains_key(&vec![name.to_owned()]) {
                vec![name.to_owned()]
            } else {
                return None;
            }
        }
    };
    walk(modules, modules.all.get(&start)?, rest, steps)
}

fn walk<'a>(modules: &'a Modules, start: &'a Module, path: &[String], steps: usize) -> Option<(&'a Module, String)> {
    let mut module = start;
    let mut rest = path;
    while let [name, after @ ..] = rest {
        let child = [module.path.clone(), vec![name.clone()]].concat();
        if let Some(child) = modules.all.get(&child) {
            module = child;
            rest = after;
            continue;
        }
        if module.items.contains(name) || steps >= MOST_STEPS {
            return Some((module, name.clone()));
        }
        if let Some(used) = imported(module, name) {
            return resolve(modules, module, &[used, after].concat(), steps + 1);
        }
        // Only what defines it, so that a glob does not become an import of all that it could mean.
        for used in module.uses.iter().filter(|used| used.name.is_none()) {
            if let Some((through, _)) = resolve(modules, module, &used.path, steps + 1)
                && through.path != module.path
                && (through.items.contains(name) || imported(through, name).is_some())
            {
                return walk(modules, through, rest, steps + 1);
            }
        }
        // What is for tests is nowhere.
        return None;
    }
    let name = module.path.last().cloned().unwrap_or_default();
    Some((module, name))
}

/// What a name means that a module imports.
fn imported<'a>(module: &'a Module, name: &str) -> Option<&'a [String]> {
    let used = module.uses.iter().find(|used| used.name.as_deref() == Some(name));
    used.map(|used| used.path.as_slice())
}

/// Cycles of files, but for a module and its own descendants: of each circle the modules that are in it.
///
/// A descendant may use what a module above it defines. That is no way from one descendant to another: they may
/// not import one another in a circle, and nobody else may be in one with them.
pub fn cycles(imports: &Imports) -> Vec<BTreeSet<Vec<String>>> {
    let all: Vec<Import<'_>> = imports.keys().map(|(from, to)| (&**from, &**to)).collect();
    let not_up: Vec<Import<'_>> = all.iter().copied().filter(|(from, to)| !from.starts_with(to)).collect();
    let is_family = |circle: &BTreeSet<Vec<String>>| {
        let heads = |head: &Vec<String>| circle.iter().all(|module| module.starts_with(head));
        circle.iter().any(heads)
    };
    let mut found = circles(&not_up);
    for circle in circles(&all) {
        let said = found.iter().any(|found| found.is_subset(&circle));
        if !said && !is_family(&circle) {
            found.push(circle);
        }
    }
    found
}

type Import<'a> = (&'a [String], &'a [String]);

/// Strongly connected components of more than one module.
fn circles(imports: &[Import<'_>]) -> Vec<BTreeSet<Vec<String>>> {
    let all: BTreeSet<&[String]> = imports.iter().flat_map(|(from, to)| [*from, *to]).collect();
    let all: Vec<&[String]> = all.into_iter().collect();
    let place = |module: &[String]| all.binary_search(&module).expect("every module is among all");
    let mut next = vec![Vec::new(); all.len()];
    for (from, to) in imports {
        next[place(from)].push(place(to));
    }
    let reached: Vec<BTreeSet<usize>> = (0..all.len()).map(|from| reached(&next, from)).collect();
    let mut circles: BTreeSet<BTreeSet<Vec<String>>> = BTreeSet::new();
    for (from, ways) in reached.iter().enumerate() {
        let back = ways.iter().filter(|to| reached[**to].contains(&from));
        let circle: BTreeSet<Vec<String>> = back.map(|module| all[*module].to_vec()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reached(next: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        left.extend(next[module].iter().filter(|to| reached.insert(**to)));
    }
    reached
}

/// The shortest way by imports from one of these modules to one of those, both ends included.
pub fn way(
    imports: &Imports,
    is_start: impl Fn(&[String]) -> bool,
    is_end: impl Fn(&[String]) -> bool,
) -> Vec<Vec<String>> {
    let mut next: BTreeMap<&[String], Vec<&[String]>> = BTreeMap::new();
    for (from, to) in imports.keys() {
        next.entry(from).or_default().push(to);
    }
    let starts = next.keys().copied().filter(|module| is_start(module));
    let mut ways: VecDeque<Vec<&[String]>> = starts.map(|module| vec![module]).collect();
    let mut seen: BTreeSet<&[String]> = ways.iter().flatten().copied().collect();
    while let Some(way) = ways.pop_front() {
        let Some(last) = way.last().copied() else { continue };
        if is_end(last) {
            return way.into_iter().map(<[String]>::to_vec).collect();
        }
        let further = next.get(last).into_iter().flatten().filter(|to| seen.insert(to));
        ways.extend(further.map(|to| [&*way, &[*to]].concat()));
    }
    Vec::new()
}

/// The imports among these modules, one a line, by file.
pub fn shown(modules: &Modules, imports: &Imports, among: &BTreeSet<Vec<String>>) -> String {
    let file = |module: &Vec<String>| modules.all[module].file.display().to_string();
    let inside = imports
        .iter()
        .filter(|((from, to), _)| among.contains(from) && among.contains(to));
    let lines = inside.map(|((from, to), names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("  {} -> {} ({})\n", file(from), file(to), names.join(", "))
    });
    lines.collect()
}
