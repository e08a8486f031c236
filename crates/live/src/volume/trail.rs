//! Which names, in which directories, decide what a path leads to.

use std::{
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

/// As many links as the operating system follows itself.
const LINKS: usize = 40;

/// A name in a directory. Whatever happens to it may change what the path leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

/// Every symlink on the way, and the end of the way.
///
/// For `/etc/app/web.yaml` in a volume these are `web.yaml` and `..data` in `/etc/app`, and `web.yaml` in
/// the directory with the time in its name. Directories on the way that are replaced as a whole are left
/// to the poll: watching every ancestor would wake us for all that happens in `/`.
pub(super) fn trail(path: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut ahead = Vec::new();
    let mut at = PathBuf::from("/");
    push(&mut ahead, path);
    if path.is_relative()
        && let Ok(current) = std::env::current_dir()
    {
        at = current;
    }
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        let name = match step {
            Step::Root => {
                at = PathBuf::from("/");
                continue;
            }
            Step::Up => {
                at.pop();
                continue;
            }
            Step::Into(name) => name,
        };
        let here = at.join(&name);
        let place = Place {
            directory: at.clone(),
            name,
        };
        match fs::symlink_metadata(&here) {
            // What is not there yet may come.
            Err(_) => {
                places.push(place);
                break;
            }
            Ok(found) if found.is_symlink() => {
                places.push(place);
                links += 1;
                match fs::read_link(&here) {
                    Ok(target) if links <= LINKS => push(&mut ahead, &target),
                    _ => break,
                }
            }
            Ok(_) => {
                if ahead.is_empty() {
                    places.push(place);
                }
                at = here;
            }
        }
    }
    places.sort();
    places.dedup();
    places
}

enum Step {
    Root,
    Up,
    Into(OsString),
}

/// The next component comes last, so that it can be taken from the end.
fn push(ahead: &mut Vec<Step>, path: &Path) {
    let steps = path.components().rev().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    });
    ahead.extend(steps);
}
