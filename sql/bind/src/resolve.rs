//! Which function or operator a call means: `parse_func.c` (sections 10.2 and 10.3 of the manual).

use crate::coerce::{can_coerce, category, element_of, is_preferred, type_text};
use curia_functions::{CastContext, Function};
use curia_types::{Result, SqlError, SqlState, oid, type_info};

/// A candidate with the types it would be called with, one for each argument given.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<T> {
    pub what: T,
    pub args: Vec<u32>,
}

/// What a name and argument types lead to.
pub(crate) enum Choice<T> {
    One(Candidate<T>),
    Ambiguous,
    None,
}

/// `func_select_candidate` and the steps before it.
pub(crate) fn choose<T: Clone>(candidates: Vec<Candidate<T>>, given: &[u32]) -> Choice<T> {
    if let Some(exact) = candidates.iter().find(|c| c.args == given) {
        return Choice::One(exact.clone());
    }
    // A domain is called as what it is over; polymorphic parameters have seen it by then.
    let bases: Vec<u32> = given.iter().map(|g| type_info::base_type(*g)).collect();
    if bases != given
        && let Some(exact) = candidates.iter().find(|c| c.args == bases)
    {
        return Choice::One(exact.clone());
    }
    let given = bases.as_slice();
    let mut left: Vec<Candidate<T>> = candidates
        .into_iter()
        .filter(|c| {
            c.args.iter().zip(given).all(|(t, g)| can_coerce(*g, *t, CastContext::Implicit)) && polymorphic_args_agree(&c.args, given)
        })
        .collect();
    match left.len() {
        0 => return Choice::None,
        1 => return Choice::One(left.remove(0)),
        _ => {}
    }
    let known: Vec<usize> = (0..given.len()).filter(|i| given[*i] != oid::UNKNOWN).collect();
    let unknowns = given.len() - known.len();
    // Most exact matches; then most exact or preferred ones among the inputs of known type.
    left = best_by(left, |c| known.iter().filter(|i| c.args[**i] == given[**i]).count());
    if left.len() == 1 {
        return Choice::One(left.remove(0));
    }
    left = best_by(left, |c| {
        known
            .iter()
            .filter(|i| c.args[**i] == given[**i] || (is_preferred(c.args[**i]) && category(c.args[**i]) == category(given[**i])))
            .count()
    });
    if left.len() == 1 {
        return Choice::One(left.remove(0));
    }
    if unknowns == 0 {
        return Choice::Ambiguous;
    }
    // Unknown inputs: take the string category if a candidate has it, else the one category they all have.
    let mut wanted: Vec<Option<(char, bool)>> = vec![None; given.len()];
    let mut resolved = true;
    for i in 0..given.len() {
        if given[i] != oid::UNKNOWN {
            continue;
        }
        let mut slot: Option<(char, bool)> = None;
        let mut conflict = false;
        for c in &left {
            let (cat, preferred) = (category(c.args[i]), is_preferred(c.args[i]));
            match slot {
                None => slot = Some((cat, preferred)),
                Some((s, p)) if s == cat => slot = Some((s, p || preferred)),
                Some(_) if cat == 'S' => slot = Some((cat, preferred)),
                Some((s, p)) => {
                    conflict |= s != 'S';
                    slot = Some((s, p));
                }
            }
        }
        let string = left.iter().any(|c| category(c.args[i]) == 'S');
        if conflict && !string {
            resolved = false;
            break;
        }
        wanted[i] = slot;
    }
    if resolved {
        let fits = |c: &Candidate<T>| {
            wanted.iter().enumerate().all(|(i, w)| match w {
                Some((cat, preferred)) => category(c.args[i]) == *cat && (!preferred || is_preferred(c.args[i])),
                None => true,
            })
        };
        let kept: Vec<Candidate<T>> = left.iter().filter(|c| fits(c)).cloned().collect();
        if !kept.is_empty() {
            left = kept;
            if left.len() == 1 {
                return Choice::One(left.remove(0));
            }
        }
    }
    // If all known inputs are of one type, try that for the unknown ones too.
    if let Some(first) = known.first().map(|i| given[*i])
        && known.iter().all(|i| given[*i] == first)
    {
        let assumed = vec![first; given.len()];
        let mut fitting = left
            .iter()
            .filter(|c| c.args.iter().all(|t| can_coerce(first, *t, CastContext::Implicit)) && polymorphic_args_agree(&c.args, &assumed));
        if let (Some(one), None) = (fitting.next(), fitting.next()) {
            return Choice::One(one.clone());
        }
    }
    Choice::Ambiguous
}

fn best_by<T>(candidates: Vec<Candidate<T>>, score: impl Fn(&Candidate<T>) -> usize) -> Vec<Candidate<T>> {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.into_iter().filter(|c| score(c) == best).collect()
}

/// What polymorphic types stand for in one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Polymorphic {
    element: Option<u32>,
    compatible: Option<u32>,
}

fn polymorphic_args_agree(declared: &[u32], given: &[u32]) -> bool {
    solve(declared, given).is_ok()
}

/// Finds the types behind anyelement, anyarray, anycompatible and friends. `Err` when arguments contradict each other.
fn solve(declared: &[u32], given: &[u32]) -> std::result::Result<Polymorphic, ()> {
    let mut p = Polymorphic::default();
    let mut compatible: Vec<u32> = Vec::new();
    for (d, g) in declared.iter().zip(given) {
        if *g == oid::UNKNOWN {
            continue;
        }
        let element = match *d {
            oid::ANYELEMENT => *g,
            oid::ANYNONARRAY if element_of(*g).is_none() => *g,
            oid::ANYARRAY => element_of(*g).ok_or(())?,
            oid::ANYENUM if type_info::is_enum(type_info::base_type(*g)) => type_info::base_type(*g),
            oid::ANYENUM => return Err(()),
            oid::ANYCOMPATIBLE | 5079 => {
                compatible.push(*g);
                continue;
            }
            oid::ANYCOMPATIBLEARRAY => {
                compatible.push(element_of(*g).ok_or(())?);
                continue;
            }
            oid::ANYNONARRAY => return Err(()),
            _ => continue,
        };
        if p.element.is_some_and(|e| e != element) {
            return Err(());
        }
        p.element = Some(element);
    }
    for t in compatible {
        p.compatible = Some(match p.compatible {
            None => t,
            Some(c) if c == t || (category(c) == category(t) && can_coerce(t, c, CastContext::Implicit)) => c,
            Some(c) if category(c) == category(t) && can_coerce(c, t, CastContext::Implicit) => t,
            Some(_) => return Err(()),
        });
    }
    Ok(p)
}

impl Polymorphic {
    /// The concrete type of a declared one. `None` when nothing determines it.
    fn concrete(self, declared: u32) -> Option<u32> {
        match declared {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => self.element,
            oid::ANYARRAY => self.element.and_then(type_info::array_of),
            oid::ANYCOMPATIBLE | 5079 => self.compatible,
            oid::ANYCOMPATIBLEARRAY => self.compatible.and_then(type_info::array_of),
            other => Some(other),
        }
    }
}

/// Replaces polymorphic types in a chosen signature by what the arguments make of them.
pub(crate) fn concretize(declared: &mut [u32], given: &[u32], ret: u32) -> Result<u32> {
    let any = |t: &u32| type_info::is_polymorphic(*t);
    if !declared.iter().any(any) && !any(&ret) {
        return Ok(ret);
    }
    let mut p = solve(declared, given).unwrap_or_default();
    // Arguments that are all unknown count as text.
    if p.compatible.is_none() {
        p.compatible = Some(oid::TEXT);
    }
    let undetermined = || {
        SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            "could not determine polymorphic type because input has type unknown",
        )
    };
    for d in declared.iter_mut() {
        if any(d) {
            *d = p.concrete(*d).ok_or_else(undetermined)?;
        }
    }
    p.concrete(ret).ok_or_else(undetermined)
}

/// A function chosen for a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FunctionMatch {
    pub function: &'static Function,
    /// From this argument on, arguments are elements of the VARIADIC array.
    pub variadic_from: Option<usize>,
    /// How many trailing parameters take their defaults.
    pub defaulted: usize,
}

/// Candidates of a name for a number of arguments: `FuncnameGetCandidates`.
pub(crate) fn function_candidates(name: &str, count: usize, explicit_variadic: bool) -> Vec<Candidate<FunctionMatch>> {
    let mut out: Vec<Candidate<FunctionMatch>> = Vec::new();
    for function in curia_functions::candidates(name) {
        let declared = function.args;
        let plain = |defaulted| Candidate {
            what: FunctionMatch {
                function,
                variadic_from: None,
                defaulted,
            },
            args: declared[..count].to_vec(),
        };
        if function.variadic != 0 && !explicit_variadic && !declared.is_empty() {
            let fixed = declared.len() - 1;
            if count > fixed {
                let mut args = declared[..fixed].to_vec();
                args.resize(count, function.variadic);
                // A plain function of the same types goes before an expanded one.
                if !out.iter().any(|c| c.args == args && c.what.variadic_from.is_none()) {
                    out.push(Candidate {
                        what: FunctionMatch {
                            function,
                            variadic_from: Some(fixed),
                            defaulted: 0,
                        },
                        args,
                    });
                }
                continue;
            }
        }
        if declared.len() == count {
            out.retain(|c| c.what.variadic_from.is_none() || c.args != declared);
            out.push(plain(0));
        } else if declared.len() > count && declared.len() - count <= function.defaults.len() {
            out.push(plain(declared.len() - count));
        }
    }
    // A candidate that needs fewer defaults hides one of the same given types.
    let exact: Vec<Vec<u32>> = out.iter().filter(|c| c.what.defaulted == 0).map(|c| c.args.clone()).collect();
    out.retain(|c| c.what.defaulted == 0 || !exact.contains(&c.args));
    out
}

/// `name(type, type)` as messages show a call.
pub(crate) fn signature(name: &str, args: &[u32]) -> String {
    let list: Vec<String> = args.iter().map(|a| type_text(*a)).collect();
    format!("{name}({})", list.join(", "))
}
