// Formats values as the path of a line chart of 100 by 30 units.

export const BOX = { width: 100, height: 30 };

export function sparkline(values: readonly number[]): string {
  if (values.length < 2) return "";
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = high - low;
  return values
    .map((value, number) => {
      const x = (number / (values.length - 1)) * BOX.width;
      const y = span ? BOX.height - 1 - ((value - low) / span) * (BOX.height - 2) : BOX.height / 2;
      return `${number ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
