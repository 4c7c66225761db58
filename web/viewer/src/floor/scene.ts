// The floor in WebGL: every machine is an instance of one box, so ten thousand of them are one draw call.
//
// A frame is drawn when something changed, and not otherwise.

import {
  BoxGeometry,
  Color,
  DirectionalLight,
  DynamicDrawUsage,
  HemisphereLight,
  InstancedMesh,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  MeshLambertMaterial,
  PerspectiveCamera,
  Plane,
  PlaneGeometry,
  Raycaster,
  Scene,
  Vector2,
  Vector3,
  WebGLRenderer,
} from "three";
import { MapControls } from "three/examples/jsm/controls/MapControls.js";
import { releaseCanvas, type Scope } from "../teardown";
import { Grid } from "./grid";
import { LOOKS, type Kind } from "./kinds";

const FOOT = 0.72; // of a place that a machine's box takes
const GROUND: Record<string, string> = { light: "#dfe5ea", dark: "#1d262e" };
const VIEW_ANGLE = 45; // degrees

export class FloorScene {
  readonly canvas = document.createElement("canvas");
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(VIEW_ANGLE, 1, 0.1, 2_000);
  readonly #controls: MapControls;
  readonly #box = new BoxGeometry(FOOT, 1, FOOT).translate(0, 0.5, 0);
  readonly #paint = new MeshLambertMaterial();
  readonly #ground = new Mesh(new PlaneGeometry(1, 1).rotateX(-Math.PI / 2), new MeshBasicMaterial());
  readonly #mark = new Mesh(new PlaneGeometry(1, 1).rotateX(-Math.PI / 2), new MeshBasicMaterial({ color: "#ff00c8" }));
  #machines: InstancedMesh | null = null;
  #grid = new Grid(0);
  #frame = 0;
  #held = false; // somebody has chosen where to look from

  constructor(container: HTMLElement, scope: Scope) {
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    container.append(this.canvas);
    this.#renderer = new WebGLRenderer({ canvas: this.canvas, antialias: devicePixelRatio < 2 });
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.#controls = new MapControls(this.#camera, this.canvas);
    this.#controls.maxPolarAngle = Math.PI / 2.2;
    this.#controls.listenToKeyEvents(this.canvas);
    this.#controls.addEventListener("change", () => this.draw());
    this.#controls.addEventListener("start", () => (this.#held = true));
    const sun = new DirectionalLight("#ffffff", 1.6);
    sun.position.set(40, 80, 30);
    this.#mark.visible = false;
    this.#scene.add(new HemisphereLight("#ffffff", "#8090a0", 2), sun, this.#ground, this.#mark);
    this.dress();
    scope.observe(new ResizeObserver(() => this.#resize(container))).observe(container);
    this.#resize(container);
    scope.defer(() => this.#destroy());
  }

  /** Colours of the page's theme. */
  dress(): void {
    const colour = GROUND[document.documentElement.dataset.theme ?? "light"]!;
    this.#ground.material.color.set(colour);
    this.#scene.background = new Color(colour).multiplyScalar(0.92);
    this.draw();
  }

  /** Lay out all machines anew. */
  lay(kinds: readonly Kind[]): void {
    this.#grid = new Grid(kinds.length);
    if (this.#machines) {
      this.#scene.remove(this.#machines);
      this.#machines.dispose();
    }
    this.#machines = new InstancedMesh(this.#box, this.#paint, Math.max(1, kinds.length));
    this.#machines.count = kinds.length;
    this.#machines.instanceMatrix.setUsage(DynamicDrawUsage);
    kinds.forEach((kind, index) => this.#set(index, kind));
    this.#machines.frustumCulled = false;
    this.#scene.add(this.#machines);
    this.#ground.scale.set(this.#grid.width + 4, 1, this.#grid.depth + 4);
    if (!this.#held) this.#overlook();
    this.draw();
  }

  /** Some machines look otherwise. */
  change(changes: Iterable<readonly [number, Kind]>): void {
    if (!this.#machines) return;
    for (const [index, kind] of changes) this.#set(index, kind);
    this.#machines.instanceMatrix.needsUpdate = true;
    if (this.#machines.instanceColor) this.#machines.instanceColor.needsUpdate = true;
    this.draw();
  }

  mark(index: number | null): void {
    this.#mark.visible = index !== null;
    if (index !== null) {
      const { x, z } = this.#grid.place(index);
      this.#mark.position.set(x, 0.02, z);
    }
    this.draw();
  }

  /** The machine at a point of the window, if there is one. */
  pick(clientX: number, clientY: number): number | null {
    const box = this.canvas.getBoundingClientRect();
    const caster = new Raycaster();
    caster.setFromCamera(new Vector2(((clientX - box.left) / box.width) * 2 - 1, 1 - ((clientY - box.top) / box.height) * 2), this.#camera);
    const hit = caster.ray.intersectPlane(new Plane(new Vector3(0, 1, 0), 0), new Vector3());
    return hit && this.#grid.at(hit);
  }

  /** Draw a frame soon. What one took is said on the canvas: draw calls, and milliseconds of script. */
  draw(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const begun = performance.now();
      this.#renderer.render(this.#scene, this.#camera);
      this.canvas.dataset.milliseconds = (performance.now() - begun).toFixed(2);
      this.canvas.dataset.calls = String(this.#renderer.info.render.calls);
    });
  }

  #set(index: number, kind: Kind): void {
    const { x, z } = this.#grid.place(index);
    const { colour, height } = LOOKS[kind];
    this.#machines!.setMatrixAt(index, MATRIX.makeScale(1, height, 1).setPosition(x, 0, z));
    this.#machines!.setColorAt(index, COLOUR.set(colour));
  }

  #overlook(): void {
    const far = Math.max(8, this.#grid.depth * 1.4, (this.#grid.width * 1.4) / this.#camera.aspect);
    this.#camera.position.set(0, far * 0.75, far * 0.7);
    this.#controls.target.set(0, 0, 0);
    this.#controls.maxDistance = far * 2;
    this.#controls.update();
  }

  #resize(container: HTMLElement): void {
    const { clientWidth, clientHeight } = container;
    if (!clientWidth || !clientHeight) return;
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.#camera.aspect = clientWidth / clientHeight;
    this.#camera.updateProjectionMatrix();
    this.draw();
  }

  #destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#controls.dispose();
    this.#machines?.dispose();
    this.#box.dispose();
    this.#paint.dispose();
    for (const mesh of [this.#ground, this.#mark]) {
      mesh.geometry.dispose();
      mesh.material.dispose();
    }
    this.#renderer.dispose();
    releaseCanvas(this.canvas);
  }
}

const MATRIX = new Matrix4();
const COLOUR = new Color();
