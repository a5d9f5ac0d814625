"""Caption pictures with a service (`cutline serve`), many at once; needs httpx only.

    python serve_client.py http://127.0.0.1:8000 photo.jpg holiday/*.jpg

$CUTLINE_TOKEN is sent as the token. Prints a line for each picture: path, tab, caption.
"""

import asyncio
import os
import sys
from pathlib import Path

import httpx

TOGETHER = 8  # requests at a time; the service captions those that come together in one batch
TRIES = 10


async def caption(client: httpx.AsyncClient, path: Path) -> str:
    """Return the caption of a picture, or a sentence that says why there is none."""
    content = path.read_bytes()
    for _ in range(TRIES):
        answer = await client.post("/v1/captions", files={"image": content})
        if answer.status_code != 503:
            break
        await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
    body = answer.json()
    if answer.is_error:
        return f"({body['detail']})"
    (result,) = body["results"]
    return f"perhaps: {result['caption']}" if result.get("unsure") else result["caption"]


async def main(url: str, paths: list[Path]) -> None:
    """Caption all pictures and print them in their order."""
    token = os.environ.get("CUTLINE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    gate = asyncio.Semaphore(TOGETHER)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120) as client:

        async def one(path: Path) -> str:
            async with gate:
                return await caption(client, path)

        tasks = [asyncio.create_task(one(path)) for path in paths]
        for path, task in zip(paths, tasks, strict=True):
            print(path, await task, sep="\t", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], [Path(word) for word in sys.argv[2:]]))
