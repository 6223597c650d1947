// What somebody typed on a page, kept in this tab until it is closed or they sign out.

// What `owner` left on the page `name`. Somebody else's is forgotten.
export function restore(name, owner) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(name) ?? "{}");
    if (kept.owner === owner) return kept.value;
  } catch {
    // Not of this version of the page: as good as nothing.
  }
  sessionStorage.removeItem(name);
  return null;
}

// Whether there was room for it.
export function keep(name, owner, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify({ owner, value }));
    return true;
  } catch {
    return false;
  }
}

// What stands in a form's fields, and putting it there again without fields that are not there any more.
export function values(form) {
  return Object.fromEntries(new FormData(form));
}

export function fill(form, kept) {
  for (const field of form.elements) {
    if (!field.name) continue;
    const value = kept[field.name];
    if (field.type === "checkbox") field.checked = value !== undefined;
    else if (field.tagName === "SELECT") {
      if ([...field.options].some((one) => one.value === value)) field.value = value;
    } else if (value !== undefined) field.value = value;
  }
}
