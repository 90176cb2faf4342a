// OpenAI's package for Node against the server at $BASE, for tests/clients.py.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.env.BASE, apiKey: process.env.KEY, maxRetries: 0 });
const ask = {
  model: 'tiny-chat', seed: 1, messages: [{ role: 'user', content: '你好，请介绍一下砚台。' }],
};

async function running() {
  const answer = await fetch(`${process.env.URL}/metrics`,
    { headers: { Authorization: `Bearer ${process.env.KEY}` } });
  return Number(/^inkstone_requests_running (\S+)$/m.exec(await answer.text())[1]);
}

async function until(value) {
  const start = Date.now();
  while (await running() !== value) {
    assert(Date.now() - start < 10000, `never ${value} running`);
  }
  return Date.now() - start;
}

const tests = {
  async chat() {
    const a = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 2 });
    assert.equal(a.usage.completion_tokens, 24);
    assert.equal(a.choices[0].logprobs.content.length, 24);
    const { data, response } = await client.chat.completions.create(ask).withResponse();
    assert.equal(data.choices[0].message.content, a.choices[0].message.content);
    assert(response.headers.get('x-cached-tokens') !== null);
    const models = [];
    for await (const m of client.models.list()) models.push(m.id);
    assert.deepEqual(models, ['tiny-chat']);
    const t = await client.completions.create({ model: 'tiny-chat', prompt: '砚', max_tokens: 3 });
    assert(t.choices[0].text.length > 0);
  },
  async stream() {
    const whole = await client.chat.completions.create(ask);
    let text = '', usage;
    for await (const c of await client.chat.completions.create(
      { ...ask, stream: true, stream_options: { include_usage: true } })) {
      text += c.choices[0]?.delta.content ?? '';
      usage = c.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(usage.completion_tokens, 24);
    const runner = client.chat.completions.stream(ask);
    assert.equal(await runner.finalContent(), text);
  },
  async errors() {
    const other = (o) => new OpenAI({ baseURL: process.env.BASE, maxRetries: 0, ...o });
    await assert.rejects(other({ apiKey: 'wrong-key-1' }).chat.completions.create(ask),
      OpenAI.AuthenticationError);
    await assert.rejects(client.chat.completions.create({ ...ask, model: 'gpt-4o' }),
      OpenAI.NotFoundError);
    await assert.rejects(client.chat.completions.create({ ...ask, temperature: 3 }),
      (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature' && !!e.requestID);
    await assert.rejects(other({ apiKey: 'x', baseURL: 'http://127.0.0.1:1/v1' }).models.list(),
      OpenAI.APIConnectionError);
  },
  async abort() {
    const stream = await client.chat.completions.create({ ...ask, max_tokens: 3500, stream: true });
    for await (const c of stream) {
      if (c.choices[0].delta.content) {
        await until(1);
        stream.controller.abort();
        break;
      }
    }
    const took = await until(0);
    const abort = new AbortController();
    const asked = client.chat.completions.create({ ...ask, max_tokens: 3500 },
      { signal: abort.signal });
    asked.catch(() => {});
    await until(1);
    abort.abort();
    await assert.rejects(asked, OpenAI.APIUserAbortError);
    console.log(`slots free after ${took} and ${await until(0)} ms`);
  },
  async tools() {
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: {
      type: 'object', additionalProperties: false, required: ['unit'],
      properties: { unit: { enum: ['c', 'f'] } } } } }];
    const a = await client.chat.completions.create(
      { ...ask, tools, tool_choice: 'required', max_tokens: 300 });
    assert.equal(a.choices[0].finish_reason, 'tool_calls');
    assert(['c', 'f'].includes(JSON.parse(a.choices[0].message.tool_calls[0].function.arguments).unit));
    const runner = client.chat.completions.stream(
      { ...ask, tools, tool_choice: 'required', max_tokens: 300 });
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices[0].message.tool_calls[0].function.name, 'get_weather');
  },
  async json() {
    const schema = { type: 'object', additionalProperties: false, required: ['a'],
      properties: { a: { type: 'integer', minimum: 0, maximum: 9 } } };
    const a = await client.chat.completions.create({ ...ask, max_tokens: 300,
      response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } } });
    assert(Number.isInteger(JSON.parse(a.choices[0].message.content).a));
  },
};

await tests[process.argv[2]]();
