// `strftime_now(format)`: the local time of now, in the C locale, by Python's directives. Knows nothing of templates.

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

const two = (value: number, fill = "0"): string => String(value).padStart(2, fill);

function dayOfYear(date: Date): number {
  return (
    Math.round(
      (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) -
        Date.UTC(date.getFullYear(), 0, 1)) /
        86_400_000,
    ) + 1
  );
}

/** Week number when weeks begin on `firstDay` (0 Sunday) and the days before the first one are week 0. */
const weekOfYear = (date: Date, firstDay: number): number =>
  Math.floor((dayOfYear(date) + 6 - ((date.getDay() - firstDay + 7) % 7)) / 7);

function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(
    date.getFullYear(),
    date.getMonth(),
    date.getDate() + 3 - ((date.getDay() + 6) % 7),
  );
  return { year: thursday.getFullYear(), week: Math.floor((dayOfYear(thursday) - 1) / 7) + 1 };
}

const DIRECTIVES: Readonly<Record<string, (date: Date) => string>> = {
  a: (date) => DAYS[date.getDay()].slice(0, 3),
  A: (date) => DAYS[date.getDay()],
  b: (date) => MONTHS[date.getMonth()].slice(0, 3),
  B: (date) => MONTHS[date.getMonth()],
  c: (date) => strftime(date, "%a %b %e %H:%M:%S %Y"),
  C: (date) => two(Math.floor(date.getFullYear() / 100)),
  d: (date) => two(date.getDate()),
  D: (date) => strftime(date, "%m/%d/%y"),
  e: (date) => two(date.getDate(), " "),
  f: (date) => String(date.getMilliseconds() * 1000).padStart(6, "0"),
  F: (date) => strftime(date, "%Y-%m-%d"),
  g: (date) => two(isoWeek(date).year % 100),
  G: (date) => String(isoWeek(date).year),
  h: (date) => MONTHS[date.getMonth()].slice(0, 3),
  H: (date) => two(date.getHours()),
  I: (date) => two(date.getHours() % 12 || 12),
  j: (date) => String(dayOfYear(date)).padStart(3, "0"),
  k: (date) => two(date.getHours(), " "),
  l: (date) => two(date.getHours() % 12 || 12, " "),
  m: (date) => two(date.getMonth() + 1),
  M: (date) => two(date.getMinutes()),
  n: () => "\n",
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  P: (date) => (date.getHours() < 12 ? "am" : "pm"),
  r: (date) => strftime(date, "%I:%M:%S %p"),
  R: (date) => strftime(date, "%H:%M"),
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  S: (date) => two(date.getSeconds()),
  t: () => "\t",
  T: (date) => strftime(date, "%H:%M:%S"),
  u: (date) => String(date.getDay() || 7),
  U: (date) => two(weekOfYear(date, 0)),
  V: (date) => two(isoWeek(date).week),
  w: (date) => String(date.getDay()),
  W: (date) => two(weekOfYear(date, 1)),
  x: (date) => strftime(date, "%m/%d/%y"),
  X: (date) => strftime(date, "%H:%M:%S"),
  y: (date) => two(date.getFullYear() % 100),
  Y: (date) => String(date.getFullYear()),
  z: () => "", // a datetime without a zone, as datetime.now() gives it
  Z: () => "",
  "%": () => "%",
};

/** datetime.strftime of a local time; `%-d` prints without padding, an unknown directive stays. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, minus: string, letter: string) => {
    const text = Object.hasOwn(DIRECTIVES, letter) ? DIRECTIVES[letter](date) : whole;
    return minus === "-" ? text.replace(/^[0 ]+(?=.)/, "") : text;
  });
}
