// What is known of a plant's machines, and what they measured lately.

import { kindOf, type Kind } from "./kinds";

export interface Sensor {
  machine: string;
  seen_at: number;
  status: string;
  state: "alive" | "stale" | "lost";
  rpm: number | null;
  temperature_c: number | null;
  vibration_mm_s: number | null;
}

export const MEASURES = [
  { key: "rpm", words: "Revolutions", unit: "1/min" },
  { key: "temperature_c", words: "Temperature", unit: "°C" },
  { key: "vibration_mm_s", words: "Vibration", unit: "mm/s" },
] as const;

const KEPT = 120; // readings a machine; two minutes at one a second

export interface Machine {
  sensor: Sensor;
  kind: Kind;
  /** Rings of KEPT values for each measure; `next` is where the next reading goes. */
  rings: Float32Array;
  next: number;
}

export class Readings {
  readonly #places = new Map<string, number>();
  readonly machines: Machine[] = [];

  /** Take what is new; answers places of the machines that look otherwise now. */
  apply(sensors: readonly Sensor[]): number[] {
    const changed: number[] = [];
    for (const sensor of sensors) {
      const place = this.#places.get(sensor.machine) ?? this.#add(sensor);
      const machine = this.machines[place]!;
      const kind = kindOf(sensor);
      if (kind !== machine.kind) changed.push(place);
      machine.sensor = sensor;
      machine.kind = kind;
      keep(machine, sensor);
    }
    return changed;
  }

  /** Machines that fell silent. */
  applyStates(states: Record<string, Sensor["state"]>): number[] {
    const changed: number[] = [];
    for (const [name, state] of Object.entries(states)) {
      const place = this.#places.get(name);
      const machine = place === undefined ? undefined : this.machines[place];
      if (!machine) continue;
      machine.sensor = { ...machine.sensor, state };
      machine.kind = kindOf(machine.sensor);
      changed.push(place!);
    }
    return changed;
  }

  find(name: string): number | undefined {
    return this.#places.get(name);
  }

  counts(): Map<Kind, number> {
    const counts = new Map<Kind, number>();
    for (const { kind } of this.machines) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts;
  }

  #add(sensor: Sensor): number {
    const place = this.machines.length;
    this.#places.set(sensor.machine, place);
    const rings = new Float32Array(KEPT * MEASURES.length).fill(NaN);
    this.machines.push({ sensor, kind: kindOf(sensor), rings, next: 0 });
    return place;
  }
}

function keep(machine: Machine, sensor: Sensor): void {
  MEASURES.forEach(({ key }, number) => (machine.rings[number * KEPT + machine.next] = sensor[key] ?? NaN));
  machine.next = (machine.next + 1) % KEPT;
}

/** A measure's values, oldest first, without gaps. */
export function history(machine: Machine, measure: number): number[] {
  const ring = machine.rings.subarray(measure * KEPT, (measure + 1) * KEPT);
  return [...ring.subarray(machine.next), ...ring.subarray(0, machine.next)].filter((value) => !Number.isNaN(value));
}
