// The normal distribution function, by Simpson's rule from 0: a third way besides a series and a fraction.

export function normal(x: number): number {
  const steps = 2000;
  const density = (t: number): number => Math.exp(-t * t * 0.5) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += density((x * i) / steps) * (i % 2 === 1 ? 4 : 2);
  return 0.5 + (sum * x) / steps / 3;
}
