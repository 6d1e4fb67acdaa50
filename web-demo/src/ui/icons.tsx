// The page's few signs, drawn inline: no font, no image request. Each is decoration; the text beside it speaks.

const PATHS = {
  mic: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM6 11a6 6 0 0 0 12 0M12 17v4",
  micOff: "M9 6a3 3 0 0 1 6 0v5m-1.2 2.4A3 3 0 0 1 9 11V9M6 11a6 6 0 0 0 9.7 4.7M18 11a6 6 0 0 1-.5 2.4M12 17v4M4 4l16 16",
  cam: "M4 7h10a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zM15 11l6-3.5v9L15 13",
  camOff: "M7 7h7a1 1 0 0 1 1 1v3l6-3.5v9L15 13v3M12 17H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1M4 4l16 16",
  screen: "M4 5h16v11H4zM9 20h6M12 16v4M12 13V8M9.500 10.500L12 8l2.500 2.500",
  people: "M9 11a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 9 11zM3 19c0-3 2.7-5 6-5s6 2 6 5M16 10.6a2.8 2.8 0 1 0-1-5.4M17 14c2.4.4 4 2 4 4.6",
  chat: "M4 5h16v11H10l-4 4v-4H4z",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M6 11h12a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1z",
  lockOpen: "M7 11V8a5 5 0 0 1 9.6-2M6 11h12a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1z",
  lockBad: "M7 11V8a5 5 0 0 1 10 0v3M6 11h12a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1zM12 13.5v3M12 18v.2",
  leave: "M3 14c0-5 18-5 18 0v2l-4 .6-.8-3.1a15 15 0 0 0-8.4 0L7 16.600 3 16z",
  record: "M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  gear: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5.500M12 7.600v.2",
  keys: "M3 7h18v10H3zM7 11h.2M11 11h.2M15 11h.2M7.500 14h9",
  sound: "M4 10v4h3l4 3.500v-11L7 10zM15 9.500a4 4 0 0 1 0 5M17.500 7a7.500 7.500 0 0 1 0 10",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  check: "M5 12.500l4.500 4.500L19 7.500",
  warn: "M12 4l9 16H3zM12 10v4.500M12 17v.2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
