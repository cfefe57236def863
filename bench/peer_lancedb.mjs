/*
 * peer_lancedb.mjs - LanceDB's flat search, for bench_search; see search_peer.h.
 *
 * The first argument is the directory of node_modules that has LanceDB.
 */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const ROWS_PER_BATCH = 50000;
const [modules, vectorsPath, queriesPath, dims, results, threads, dir] = process.argv.slice(2);
const nDims = Number(dims);
const nResults = Number(results);

process.env.LANCE_CPU_THREADS = threads;

function load() {
    try {
        const require = createRequire(path.join(modules, "here.js"));
        return { lancedb: require("@lancedb/lancedb"), arrow: require("apache-arrow") };
    } catch (failure) {
        console.log(`absent cannot load LanceDB: ${failure.message.split("\n")[0]}`);
        process.exit(0);
    }
}

const { lancedb, arrow } = load();

function readFloats(file, first, n) {
    const bytes = Buffer.alloc(n * nDims * 4);
    const nRead = fs.readSync(file, bytes, 0, bytes.length, first * nDims * 4);
    return new Float32Array(bytes.buffer, bytes.byteOffset, nRead / 4);
}

function tableOf(first, floats) {
    const n = floats.length / nDims;
    const type = new arrow.FixedSizeList(nDims, new arrow.Field("item", new arrow.Float32(), true));
    const items = arrow.makeData({
        type: new arrow.Float32(), length: floats.length, data: floats,
    });
    const vectors = arrow.makeData({ type, length: n, nullCount: 0, child: items });
    const numbers = Int32Array.from({ length: n }, (_, i) => first + i);
    const rows = arrow.makeData({ type: new arrow.Int32(), length: n, data: numbers });
    return new arrow.Table({ row: new arrow.Vector([rows]), vector: new arrow.Vector([vectors]) });
}

async function openTable() {
    const db = await lancedb.connect(dir);
    if ((await db.tableNames()).includes("vectors"))
        return db.openTable("vectors");
    const file = fs.openSync(vectorsPath);
    const nRows = fs.fstatSync(file).size / 4 / nDims;
    let table = null;
    for (let first = 0; first < nRows; first += ROWS_PER_BATCH) {
        const n = Math.min(ROWS_PER_BATCH, nRows - first);
        const batch = tableOf(first, readFloats(file, first, n));
        if (table === null)
            table = await db.createTable("vectors", batch);
        else
            await table.add(batch);
    }
    fs.closeSync(file);
    await table.optimize();
    return table;
}

async function search(table, query) {
    const found = await table.vectorSearch(query).column("vector").distanceType("dot")
        .bypassVectorIndex().select(["row", "_distance"]).limit(nResults).toArrow();
    return Array.from(found.getChild("row"));
}

const table = await openTable();
const queries = new Float32Array(fs.readFileSync(queriesPath).buffer);
console.log("ready");
for await (const line of readline.createInterface({ input: process.stdin })) {
    const [first, count] = line.split(" ").map(Number);
    const found = [];
    const start = process.hrtime.bigint();
    for (let i = first; i < first + count; i++)
        found.push(await search(table, queries.subarray(i * nDims, (i + 1) * nDims)));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    console.log([seconds.toFixed(9), ...found.map((rows) => rows.join(" "))].join("\n"));
}
process.exit(0);
