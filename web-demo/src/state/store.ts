// A value that components watch. The only state mechanism of the page. Pure.

import { useEffect, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(next: T): void;
  patch(part: Partial<T>): void;
  watch(observer: (value: T) => void): () => void;
}

export function store<T>(initial: T): Store<T> {
  let value = initial;
  const observers = new Set<(value: T) => void>();
  const set = (next: T): void => {
    value = next;
    for (const observer of [...observers]) observer(value);
  };
  return {
    get: () => value,
    set,
    patch: (part) => set({ ...value, ...part }),
    watch: (observer) => {
      observers.add(observer);
      return () => observers.delete(observer);
    },
  };
}

/** The store's value, drawn again when it changes. */
export function useStore<T>(source: Store<T>): T {
  const [value, setValue] = useState(source.get());
  useEffect(() => {
    setValue(source.get());
    return source.watch((next) => setValue(next));
  }, [source]);
  return value;
}
