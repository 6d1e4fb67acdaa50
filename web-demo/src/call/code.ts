// The human code in its groups. Pure.

export function codeGroups(code: string): string[] {
  return code.match(/\d{5}/g) ?? [];
}
