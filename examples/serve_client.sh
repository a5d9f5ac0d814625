#!/bin/sh
# Caption a picture with a service (`cutline serve`), with curl alone:
#
#     sh serve_client.sh http://127.0.0.1:8000 photo.jpg
#
# $CUTLINE_TOKEN is sent as the token. Prints the answer, which is JSON.
set -eu
url=$1
photo=$2

# --fail-with-body: a refusal is printed, too, and the exit code is 22
# --retry: of a service that is busy (503), after the seconds that Retry-After says
# image=@-: from standard input, so that the picture's name stays here, whatever is in it
# --config: the token is in no list of processes
curl --silent --show-error --fail-with-body --retry 10 --config /dev/fd/3 \
    --form 'image=@-;filename=image' --form n_best=3 --form attention=true \
    "$url/v1/captions" <"$photo" 3<<END
${CUTLINE_TOKEN:+header = "Authorization: Bearer $CUTLINE_TOKEN"}
END
