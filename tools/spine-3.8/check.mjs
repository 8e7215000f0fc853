// See README.md.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

// The runtime expects a browser, and draws nothing here.
globalThis.self = globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null, style: {} }) };
const { TextureAtlas, settings } = await import("@pixi-spine/base");
const spine = await import("@pixi-spine/runtime-3.8");

// As in Spine itself: pixi has y down.
settings.yDown = false;

const [skeletonFile, atlasFile] = process.argv.slice(2);
const page = () => ({
  resolution: 1,
  realWidth: 1 << 14,
  realHeight: 1 << 14,
  width: 1 << 14,
  height: 1 << 14,
  setSize() {},
  once() {},
  on() {},
});
const atlas = new TextureAtlas(readFileSync(atlasFile, "utf8"), (_, loaded) => loaded(page()));
const loader = {
  newMeshAttachment(_skin, name, path) {
    const attachment = new spine.MeshAttachment(name);
    attachment.region = atlas.findRegion(path);
    assert(attachment.region, `${path} is not in the atlas`);
    return attachment;
  },
};
const json = JSON.parse(readFileSync(skeletonFile, "utf8"));
const data = new spine.SkeletonJson(loader).readSkeletonData(json);
assert(data.version.startsWith("3.8"), data.version);
const skeleton = new spine.Skeleton(data);
skeleton.setToSetupPose();
skeleton.updateWorldTransform();

let count = 0;
for (const slot of skeleton.drawOrder) {
  const mesh = slot.getAttachment();
  const written = json.skins[0].attachments[slot.data.name][mesh.name];
  const { region } = mesh;
  assert.equal(region.originalWidth ?? region.orig.width, written.width, slot.data.name);
  assert.equal(region.originalHeight ?? region.orig.height, written.height, slot.data.name);
  const world = new Array(mesh.worldVerticesLength).fill(0);
  mesh.computeWorldVertices(slot, 0, mesh.worldVerticesLength, world, 0, 2);
  for (let at = 0; at < world.length; at += 2) {
    const x = written.uvs[at] * written.width - written.width / 2;
    const y = written.height / 2 - written.uvs[at + 1] * written.height;
    assert(Math.abs(world[at] - x) < 1e-3 && Math.abs(world[at + 1] - y) < 1e-3, slot.data.name);
  }
  const area = (ring) =>
    ring.reduce((sum, vertex, index) => {
      const next = ring[(index + 1) % ring.length];
      const [x0, y0, x1, y1] = [2 * vertex, 2 * vertex + 1, 2 * next, 2 * next + 1];
      return sum + (world[x0] * world[y1] - world[x1] * world[y0]) / 2;
    }, 0);
  let triangles = 0;
  for (let at = 0; at < mesh.triangles.length; at += 3) {
    const one = area(mesh.triangles.slice(at, at + 3));
    assert(one < 0, `${slot.data.name}: triangle ${at / 3}`);
    triangles -= one;
  }
  // In the runtime's units, which are coordinates.
  assert.equal(mesh.hullLength, 2 * written.hull);
  const hull = Math.abs(area([...Array(written.hull).keys()]));
  assert(Math.abs(hull - triangles) < 1e-2 * written.hull, `${slot.data.name}: hull`);
  count += 1;
}
assert(count > 0, "no slots");
console.log(`${count} meshes are as they should be`);
