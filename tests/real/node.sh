#!/bin/bash
# SPDX-License-Identifier: MIT
#
# node: V8's heap beside malloc, buffers handed between worker threads, zlib
# and crypto on the thread pool, streams, JSON, child processes.
# needs: node

cat >work.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { createHash, pbkdf2, randomBytes } = require('crypto');
const { pipeline, Transform } = require('stream');
const { promisify } = require('util');
const { execFileSync } = require('child_process');
const zlib = require('zlib');
const fs = require('fs');

const hash = (data) => createHash('sha256').update(data).digest('hex').slice(0, 16);

function work() {
	parentPort.on('message', ({ buffer, round }) => {
		const bytes = new Uint8Array(buffer);
		for (let i = 0; i < bytes.length; i++)
			bytes[i] = (bytes[i] + workerData.step + round) & 255;
		const grown = Buffer.concat([Buffer.from(bytes), Buffer.alloc(round * 10, 1)]);
		const out = grown.buffer.slice(grown.byteOffset, grown.byteOffset + grown.length);
		parentPort.postMessage(out, [out]);
	});
}

function circulate(step) {
	return new Promise((done, fail) => {
		const worker = new Worker(__filename, { workerData: { step } });
		let round = 0;
		const send = (buffer) => worker.postMessage({ buffer, round }, [buffer]);
		worker.on('error', fail);
		worker.on('message', (buffer) => {
			if (++round < 150)
				return send(buffer);
			worker.terminate().then(() => done(hash(Buffer.from(buffer)) + ' ' + buffer.byteLength));
		});
		send(new ArrayBuffer(20000));
	});
}

async function main() {
	console.log('workers', await Promise.all([1, 2, 3, 4].map(circulate)));

	const records = Array.from({ length: 20000 }, (_, i) => (
		{ id: i, name: 'n'.repeat(i % 40), list: [i, i * 2, { deep: String(i) }] }));
	const text = JSON.stringify(records);
	console.log('json', text.length, hash(JSON.stringify(JSON.parse(text))));

	const source = Buffer.from(text.repeat(2));
	const [gz, br, deflated] = await Promise.all([promisify(zlib.gzip)(source),
		promisify(zlib.brotliCompress)(source, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }),
		promisify(zlib.deflate)(source, { level: 1 })]);
	console.log('zlib', hash(gz.subarray(10)), hash(br), hash(deflated));
	console.log('back', source.equals(await promisify(zlib.gunzip)(gz)),
		source.equals(zlib.brotliDecompressSync(br)), source.equals(zlib.inflateSync(deflated)));

	fs.writeFileSync('in.txt', source);
	const upper = new Transform({
		transform(chunk, _, next) { next(null, chunk.toString('latin1').toUpperCase()); } });
	await promisify(pipeline)(fs.createReadStream('in.txt', { highWaterMark: 7777 }), upper,
		zlib.createGzip({ level: 1 }), zlib.createGunzip(), fs.createWriteStream('out.txt'));
	console.log('stream', hash(fs.readFileSync('out.txt')));

	let buffers = [];
	let total = 0;
	for (let i = 0; i < 20000; i++) {
		buffers.push(Buffer.allocUnsafeSlow(i % 9000).fill(i));
		if (buffers.length > 500)
			buffers = buffers.filter((b, n) => n % 3);
		total += buffers[buffers.length - 1].length;
	}
	console.log('buffers', total, buffers.length);
	const keys = await Promise.all([...Array(16).keys()].map((i) =>
		promisify(pbkdf2)('password' + i, 'salt', 2000, 32, 'sha256')));
	console.log('pbkdf2', hash(Buffer.concat(keys)), randomBytes(100000).length);
	console.log('child', execFileSync(process.execPath, ['-p', '[1,2,3].map(String).join("+")'],
		{ stdio: ['ignore', 'pipe', 'inherit'] }).toString().trim());
	try {
		new ArrayBuffer(2 ** 52);
	} catch (e) {
		console.log('too large', e.name);
	}
}

if (isMainThread)
	main();
else
	work();
END

node work.js
UV_THREADPOOL_SIZE=8 node --max-old-space-size=64 -e '
let kept = new Map();
for (let i = 0; i < 300000; i++)
	kept.set(i % 20000, { text: "v" + i, pad: [i] });
console.log("map", kept.size, kept.get(777).text);'
