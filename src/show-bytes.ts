// A number of bytes as error messages show it.

/** Such as "4.33 GB", "27.26 MB" or "12.3 kB": decimal units, as files and disks are measured. */
export function showBytes(bytes: number): string {
  if (bytes >= 1e8) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e5 ? `${(bytes / 1e6).toFixed(2)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}
