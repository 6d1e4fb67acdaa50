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
  hand: "M7 12V6.500a1.500 1.500 0 0 1 3 0V11V4.500a1.500 1.500 0 0 1 3 0V11V5.500a1.500 1.500 0 0 1 3 0V12V8.500a1.500 1.500 0 0 1 3 0V14a7 7 0 0 1-7 7c-3 0-4.500-1.500-6-4l-2-3.500a1.500 1.500 0 0 1 2.500-1.500z",
  yes: "M7 11v9H4v-9zM7 11l4-8a2 2 0 0 1 2 2v4h5a2 2 0 0 1 2 2.300l-1.200 7a2 2 0 0 1-2 1.700H7",
  no: "M17 13V4h3v9zM17 13l-4 8a2 2 0 0 1-2-2v-4H6a2 2 0 0 1-2-2.300l1.200-7a2 2 0 0 1 2-1.700H17",
  applause: "M8.500 14l4-6.500M11 16l4.500-7M14 17.500l3.500-5.500M6.500 13.500c-1 3 .5 7 5.500 7.500s7-3 7-6M12 2v2.500M17 3l-1 2.200M7 3l1 2.200",
  laugh: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM7.500 13a4.500 4.500 0 0 0 9 0zM9 9v.2M15 9v.2",
  surprise: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 17.500a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400zM9 9v.2M15 9v.2",
  heart: "M12 20s-7-4.600-9-9a4.700 4.700 0 0 1 9-3.500A4.700 4.700 0 0 1 21 11c-2 4.400-9 9-9 9z",
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
